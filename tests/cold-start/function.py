"""What Tributary does until it asks for its first event, in Python: the secret over TLS, Postgres by TLS and SCRAM."""

import http.client
import json
import os

import boto3
import psycopg

answer = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["SECRET"])
secret = json.loads(answer["SecretString"])
connection = psycopg.connect(
    host=secret["host"],
    port=secret["port"],
    user=secret["username"],
    password=secret["password"],
    dbname=secret["dbname"],
    sslmode="verify-full",
    sslrootcert=os.environ["DATABASE_ROOTS"],
)

runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
runtime.request("GET", "/2018-06-01/runtime/invocation/next")
runtime.getresponse()
