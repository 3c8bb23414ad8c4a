#!/usr/bin/env python3
"""ODK Central to Postgres as scripts do it: for each row one SELECT and one INSERT or UPDATE, by SQLAlchemy's ORM.

Started by `odk-sync`, which says where the server and the database are. Prints a line of JSON; the clock starts when
interpreter and imports are ready, and stops after the last commit. A submission commits with its persons.
"""

import argparse
import json
import os
import resource
import sys
import time
import urllib.parse
import urllib.request

try:
    from sqlalchemy import JSON, BigInteger, Boolean, Date, DateTime, Numeric, String, create_engine
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
except ImportError:
    from run import python

    os.execv(python(), [python(), *sys.argv])

from datetime import date, datetime


class Base(DeclarativeBase):
    pass


class Submission(Base):
    __tablename__ = "by_orm"
    id: Mapped[str] = mapped_column(String, primary_key=True)
    survey_date = mapped_column(Date)
    survey_start = mapped_column(DateTime(timezone=True))
    survey_time = mapped_column(String)
    start_geopoint = mapped_column(JSON)
    address_plus_code_image = mapped_column(String)
    building_image = mapped_column(String)
    floors = mapped_column(BigInteger)
    rent = mapped_column(Numeric)
    amenities = mapped_column(String)
    tenure = mapped_column(String)
    walk = mapped_column(JSON)
    plot = mapped_column(JSON)
    q1_8 = mapped_column(Boolean)
    legacy_note = mapped_column(String)
    instance_name = mapped_column(String)
    system = mapped_column(JSON)


class Person(Base):
    __tablename__ = "by_orm_person"
    id: Mapped[str] = mapped_column(String, primary_key=True)
    submission = mapped_column(String)
    first_name = mapped_column(String)
    mobile = mapped_column(String)
    person_type = mapped_column(String)
    since = mapped_column(Date)


def day(text):
    return date.fromisoformat(text) if text else None


def of_submission(row):
    place, building = row.get("property_location") or {}, row.get("property_description") or {}
    start, answer = row.get("survey_start"), row.get("q1_8")
    return {
        "survey_date": day(row.get("survey_date")),
        "survey_start": datetime.fromisoformat(start) if start else None,
        "survey_time": row.get("survey_time"),
        "start_geopoint": place.get("start_geopoint"),
        "address_plus_code_image": place.get("address_plus_code_image"),
        "building_image": building.get("building_image"),
        "floors": building.get("floors"),
        "rent": building.get("rent"),
        "amenities": row.get("amenities"),
        "tenure": row.get("tenure"),
        "walk": row.get("walk"),
        "plot": row.get("plot"),
        "q1_8": None if answer is None else answer == "true",
        "legacy_note": row.get("legacy_note"),
        "instance_name": (row.get("meta") or {}).get("instanceName"),
        "system": row["__system"],
    }


def of_person(person, submission):
    return {
        "submission": submission,
        "first_name": person.get("first_name"),
        "mobile": person.get("mobile"),
        "person_type": person.get("person_type"),
        "since": day((person.get("occupancy") or {}).get("since")),
    }


def put(session, model, key, values):
    found = session.query(model).filter_by(id=key).first()
    if found is None:
        session.add(model(id=key, **values))
    else:
        for name, value in values.items():
            setattr(found, name, value)


class Central:
    def __init__(self, server, email, password):
        self.server = server
        login = json.dumps({"email": email, "password": password}).encode()
        self.headers = {"content-type": "application/json"}
        self.headers["authorization"] = "Bearer " + self.ask("/v1/sessions", login)["token"]

    def ask(self, path, body=None):
        request = urllib.request.Request(self.server + path, body, self.headers)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def submissions(self, form):
        query = {"$expand": "*", "$top": "250"}
        while True:
            page = self.ask(f"/v1/projects/1/forms/{form}.svc/Submissions?{urllib.parse.urlencode(query)}")
            yield from page["value"]
            if "@odata.nextLink" not in page:
                return
            link = urllib.parse.urlsplit(page["@odata.nextLink"])
            query["$skiptoken"] = urllib.parse.parse_qs(link.query)["$skiptoken"][0]


def main():
    parser = argparse.ArgumentParser()
    for name in ("server", "database-url", "form", "email", "password"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--submissions", type=int, required=True)
    args = parser.parse_args()
    url = urllib.parse.urlsplit(args.database_url)._replace(scheme="postgresql+psycopg2").geturl()
    engine = create_engine(url)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    began, done = time.perf_counter(), 0
    central = Central(args.server, args.email, args.password)
    with Session(engine) as session:
        for row in central.submissions(args.form):
            if done == args.submissions:
                break
            put(session, Submission, row["__id"], of_submission(row))
            for person in row.get("person_details", ()):
                put(session, Person, person["__id"], of_person(person, row["__id"]))
            session.commit()
            done += 1
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak}))


main()
