//! What an address asks for: its kind, which faults and counters go by, and the answer.

use hyper::Method;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, IF_NONE_MATCH};
use serde_json::{Value as Json, json};

use super::account::Right;
use super::answer::Answer;
use super::entity::Dataset;
use super::feed::{self, Frame};
use super::form::Form;
use super::query::{Query, decode, options};
use super::release::Release;
use super::store::Row as _;
use super::submission::{File, Shape, Submission};
use super::world::World;

/// A request that was read.
pub(super) struct Asked<'r> {
    pub(super) method: &'r Method,
    pub(super) path: &'r str,
    pub(super) query: &'r str,
    pub(super) headers: &'r HeaderMap,
    pub(super) body: &'r [u8],
}

fn parts(path: &str) -> Vec<String> {
    path.trim_matches('/').split('/').map(|part| decode(part, false)).collect()
}

fn borrowed(parts: &[String]) -> Vec<&str> {
    parts.iter().map(String::as_str).collect()
}

/// The kind of a request: `session`, `card`, `fields`, `gate` (`$select=__id`), `manifest` (`$select` with `__system`),
/// `count` (`$top=0`), `ids` (a filter by `__id`), `window` (another filter), `page`, `single`, `attachments` (a list),
/// `attachment`, `dataset`, `version`, or `other`.
pub(super) fn kind(method: &Method, path: &str, query: &str) -> &'static str {
    let parts = parts(path);
    match (method, borrowed(&parts).as_slice()) {
        (&Method::POST, ["v1", "sessions"]) => "session",
        (_, ["version.txt"]) => "version",
        (_, ["v1", "projects", _, "forms", _, "submissions", _, "attachments"]) => "attachments",
        (_, ["v1", "projects", _, "forms", _, "submissions", _, "attachments", _]) => "attachment",
        (
            _,
            ["v1", "projects", _, "forms", _, "fields"] | ["v1", "projects", _, "forms", _, "versions", _, "fields"],
        ) => "fields",
        (_, ["v1", "projects", _, "datasets", _, "Entities"] | ["v1", "projects", _, "forms", _, "Submissions"]) => {
            feed_kind(&options(query))
        }
        (_, ["v1", "projects", _, "forms", form, single])
            if form.ends_with(".svc") && single.starts_with("Submissions(") =>
        {
            "single"
        }
        (_, ["v1", "projects", _, "datasets", name]) if !name.ends_with(".svc") => "dataset",
        (_, ["v1", "projects", _, "forms", form]) if !form.ends_with(".svc") => "card",
        _ => "other",
    }
}

fn feed_kind(options: &[(String, String)]) -> &'static str {
    let of = |wanted: &str| options.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    match (of("$select"), of("$filter"), of("$top")) {
        (_, _, Some("0")) => "count",
        (Some("__id"), None, _) => "gate",
        (Some(select), _, _) if select.contains("__system") => "manifest",
        (_, Some(filter), _) if filter.contains("__id eq") => "ids",
        (_, Some(_), _) => "window",
        _ => "page",
    }
}

/// The answer of the right server; `short` rows are lost at the end of a page.
pub(super) fn answer(world: &mut World, asked: &Asked<'_>, short: usize, s3: &str) -> Answer {
    let parts = parts(asked.path);
    let parts = borrowed(&parts);
    let header = |name: HeaderName| asked.headers.get(name).and_then(|value| value.to_str().ok());
    let secure = asked.headers.get("x-forwarded-proto").is_some_and(|value| value == "https");
    match (asked.method, parts.as_slice()) {
        (&Method::GET, ["version.txt"]) => {
            let text = format!("versions:\n 0000000000000000000000000000000000000000 ({})\n", world.release.tag());
            return Answer::new(200, vec![("content-type", "text/plain".to_owned())], text);
        }
        (&Method::POST, ["v1", "sessions"]) => return world.log_in(asked.body),
        (&Method::DELETE, ["v1", "sessions", "current"]) => return world.log_out(header(AUTHORIZATION)),
        _ => {}
    }
    let right = match world.right(header(AUTHORIZATION), secure) {
        Ok(right) => right,
        Err(answer) => return answer,
    };
    let reads = asked.method == Method::GET || asked.method == Method::HEAD;
    let ["v1", "projects", project, rest @ ..] = parts.as_slice() else { return Answer::not_found() };
    if *project != super::PROJECT.to_string() || !reads {
        return Answer::not_found();
    }
    if right != Right::Viewer {
        return Answer::forbidden();
    }
    let extended = asked.headers.get("x-extended-metadata").is_some_and(|value| value == "true");
    let asked = Feed { asked, if_none_match: header(IF_NONE_MATCH), short, world: &*world };
    match rest {
        ["forms", id, rest @ ..] => {
            let (id, service) = id.strip_suffix(".svc").map_or((*id, false), |id| (id, true));
            let Some(form) = world.forms.get(id).filter(|form| !form.deleted) else { return Answer::not_found() };
            match (service, rest) {
                (true, []) => {
                    let context = format!("{}{}/$metadata", world.domain, asked.asked.path);
                    Answer::json(200, &json!({ "@odata.context": context, "value": form.service() }))
                }
                (true, ["Submissions"]) => asked.submissions(form),
                (true, [single]) => asked.single(form, single),
                (false, []) => Answer::json(200, &form.card(extended)),
                (false, ["fields"]) => Answer::json(200, &Form::fields(form.current())),
                (false, ["versions"]) => Answer::json(200, &form.shown_versions()),
                (false, ["versions", version, "fields"]) => form
                    .version(version)
                    .map_or_else(Answer::not_found, |known| Answer::json(200, &Form::fields(known))),
                (false, ["submissions", id, "attachments", rest @ ..]) => {
                    let submission = form.submissions.get(id).filter(|submission| !submission.is_deleted());
                    match (submission, rest) {
                        (Some(submission), []) => Answer::json(200, &listed(submission)),
                        (Some(submission), [name]) => match submission.files.get(*name) {
                            Some(Some(file)) if world.files_in_s3 => elsewhere(file, name, s3),
                            Some(Some(file)) => download(file, name, asked.if_none_match),
                            _ => Answer::not_found(),
                        },
                        _ => Answer::not_found(),
                    }
                }
                _ => Answer::not_found(),
            }
        }
        ["datasets", name, rest @ ..] => {
            let (name, service) = name.strip_suffix(".svc").map_or((*name, false), |name| (name, true));
            let dataset = world.datasets.get(name).filter(|dataset| !dataset.deleted);
            match (dataset, service, rest) {
                (Some(dataset), true, ["Entities"]) => asked.entities(dataset),
                (Some(dataset), false, []) => Answer::json(200, &dataset.card()),
                _ => Answer::not_found(),
            }
        }
        _ => Answer::not_found(),
    }
}

fn listed(submission: &Submission) -> Json {
    let file = |(name, file): (&String, &Option<File>)| json!({ "name": name, "exists": file.is_some() });
    submission.files.iter().map(file).collect()
}

fn disposition(file: &File, name: &str) -> String {
    let way = if file.content_type.starts_with("image/") { "inline" } else { "attachment" };
    format!("{way}; filename=\"{}\"; filename*=UTF-8''{}", name.replace('"', ""), super::query::encode(name))
}

/// A file that lies in the database.
fn download(file: &File, name: &str, if_none_match: Option<&str>) -> Answer {
    let etag = format!("\"{}\"", file.md5);
    if if_none_match == Some(etag.as_str()) {
        return Answer::new(304, vec![("etag", etag)], "");
    }
    let headers = vec![
        ("content-type", file.content_type.clone()),
        ("content-disposition", disposition(file, name)),
        ("etag", etag),
    ];
    Answer::new(200, headers, file.bytes.clone())
}

/// A file that lies in S3: a redirect without an ETag, whatever is known of it.
fn elsewhere(file: &File, name: &str, s3: &str) -> Answer {
    let (kind, disposition) =
        (super::query::encode(&file.content_type), super::query::encode(&disposition(file, name)));
    let query = format!(
        "response-content-disposition={disposition}&response-content-type={kind}&X-Amz-Expires=60&X-Amz-Signature=0"
    );
    Answer::new(307, vec![("location", format!("{s3}/blobs/{}?{query}", file.md5))], "")
}

/// A request for rows.
struct Feed<'f> {
    asked: &'f Asked<'f>,
    if_none_match: Option<&'f str>,
    short: usize,
    world: &'f World,
}

impl Feed<'_> {
    fn release(&self) -> Release {
        self.world.release
    }

    fn frame(&self, place: &'static str, etags: bool) -> Frame<'_> {
        Frame {
            domain: &self.world.domain,
            path: self.asked.path,
            place,
            cursors: self.release().has_cursors(),
            etags,
            if_none_match: self.if_none_match,
            short: self.short,
        }
    }

    fn submissions(&self, form: &Form) -> Answer {
        let release = self.release();
        let known = |field: &str| match field {
            "__id" => release.filters_by_id(),
            "__system/deletedAt" => release.knows_deletions(),
            "__system/submissionDate" | "__system/updatedAt" => true,
            "__system/reviewState" | "__system/submitterId" => true,
            _ => false,
        };
        let query = match Query::read(&options(self.asked.query), "instanceId", release, &known) {
            Ok(query) => query,
            Err(answer) => return answer,
        };
        let shape =
            Shape { select: query.select.as_deref(), expand: query.expand, knows_deletions: release.knows_deletions() };
        let frame = self.frame("instanceId", release.has_etags());
        feed::page(&form.submissions, &query, &frame, |out, submission| submission.write(out, form, &shape))
    }

    /// `Submissions('id')`, which takes only some ids.
    fn single(&self, form: &Form, address: &str) -> Answer {
        let id = address.strip_prefix("Submissions('").and_then(|rest| rest.strip_suffix("')")).unwrap_or_default();
        let plain = id.strip_prefix("uuid:").unwrap_or(id);
        if plain.is_empty() || !plain.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
            return Answer::not_found();
        }
        let Some(submission) = form.submissions.get(id).filter(|submission| !submission.is_deleted()) else {
            return Answer::not_found().with("odata-version", "4.0");
        };
        let expand = options(self.asked.query).iter().any(|(name, value)| name == "$expand" && value == "*");
        let shape = Shape { select: None, expand, knows_deletions: self.release().knows_deletions() };
        let mut row = String::new();
        submission.write(&mut row, form, &shape);
        let above = self.asked.path.rsplit_once('/').map_or("", |(above, _)| above);
        let context = format!("{}{above}/$metadata#Submissions", self.world.domain);
        let row: Json = serde_json::from_str(&row).expect("our own JSON");
        Answer::json(200, &json!({ "value": [row], "@odata.context": context })).with("odata-version", "4.0")
    }

    fn entities(&self, dataset: &Dataset) -> Answer {
        let release = self.release();
        let known = |field: &str| match field {
            "__id" => release.filters_by_id(),
            "__system/deletedAt" => release.knows_deleted_entities(),
            "__system/createdAt" | "__system/updatedAt" => true,
            "__system/creatorId" | "__system/conflict" => true,
            _ => false,
        };
        let query = match Query::read(&options(self.asked.query), "uuid", release, &known) {
            Ok(query) => query,
            Err(answer) => return answer,
        };
        let (select, knows) = (query.select.as_deref(), release.knows_deleted_entities());
        feed::page(&dataset.entities, &query, &self.frame("uuid", false), |out, entity| {
            out.push_str(&dataset.row(entity, select, knows).to_string());
        })
    }
}
