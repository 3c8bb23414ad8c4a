//! What people do with submissions.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::form::Form;
use super::store::Row as _;
use super::submission::{File, Shape, Submission, files_of};
use super::world::World;

/// A file as it ought to arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its name.
    pub name: String,
    /// MD5 of its content as hexadecimal digits; none while it isn't there.
    pub md5: Option<String>,
    /// Its size in bytes, 0 while it isn't there.
    pub size: usize,
}

fn expected(form: &Form, answers: &Json) -> BTreeMap<String, Option<File>> {
    let mut names = Vec::new();
    files_of(&form.tree, answers, &mut names);
    names.into_iter().map(|name| (name, None)).collect()
}

/// Puts the id of a version where rows have it.
fn stamped(mut answers: Json, instance: &str) -> Json {
    if !answers["meta"].is_object() {
        answers["meta"] = json!({});
    }
    answers["meta"]["instanceID"] = json!(instance);
    answers
}

impl World {
    /// Submits these answers; gives the submission's `__id`.
    pub fn create(&mut self, form: &str, answers: &Json) -> String {
        let id = self.begin(form, answers);
        self.commit(&id);
        id
    }

    /// Submits these answers under an id of one's own.
    pub fn create_as(&mut self, form: &str, id: &str, answers: &Json) {
        self.start(form, id.to_owned(), answers);
        self.commit(id);
    }

    /// Submits these answers in a transaction that isn't committed yet: `submissionDate` is now, and nobody sees it until
    /// [`World::commit`]. Gives its `__id`.
    pub fn begin(&mut self, form: &str, answers: &Json) -> String {
        let id = format!("uuid:{}", self.uuid());
        self.start(form, id.clone(), answers);
        id
    }

    fn start(&mut self, form: &str, id: String, answers: &Json) {
        let (created, number) = (self.now(), self.next_number());
        let submitter = (super::SUBMITTER, self.submitters[&super::SUBMITTER].clone());
        let known = self.form(form);
        let encrypted = known.key.is_some();
        let files = if encrypted {
            BTreeMap::from([("submission.xml.enc".to_owned(), None)])
        } else {
            expected(known, answers)
        };
        let submission = Submission {
            instance: id.clone(),
            number,
            created,
            updated: None,
            deleted_at: None,
            review_state: None,
            edits: 0,
            form_version: known.current().name.clone(),
            device: Some("dev-1".to_owned()),
            submitter,
            answers: stamped(answers.clone(), &id),
            status: encrypted.then_some("missingEncryptedFormData"),
            files,
            event: 0,
            id,
        };
        self.uncommitted.push((form.to_owned(), submission));
    }

    /// Commits what was begun.
    pub fn commit(&mut self, id: &str) {
        let place = self.uncommitted.iter().position(|(_, submission)| submission.id == id);
        let (form, mut submission) = self.uncommitted.remove(place.unwrap_or_else(|| panic!("nothing began as {id}")));
        submission.event = self.next_event();
        self.form_mut(&form).submissions.insert(submission);
    }

    /// The encrypted data of a submission arrives: its status changes, and no time or ETag does.
    pub fn encrypted_data_arrives(&mut self, form: &str, id: &str) -> bool {
        let Some(submission) = self.form_mut(form).submissions.get_mut(id) else { return false };
        submission.status = Some("notDecrypted");
        for file in submission.files.values_mut() {
            *file = Some(File::new(Bytes::from_static(b"encrypted"), "application/octet-stream"));
        }
        true
    }

    /// Changes one that is deleted or isn't, and tells by an event; false when there is none.
    fn change(&mut self, form: &str, id: &str, deleted: bool, change: impl FnOnce(&mut Submission, i64)) -> bool {
        let now = self.now();
        let event = self.next_event();
        let Some(submission) = self.form_mut(form).submissions.get_mut(id) else { return false };
        if submission.is_deleted() != deleted {
            return false;
        }
        submission.event = event;
        change(submission, now);
        true
    }

    /// Replaces the answers by an edit. Files of the same names are carried over. False when it isn't there, or is
    /// encrypted.
    pub fn edit(&mut self, form: &str, id: &str, answers: &Json) -> bool {
        let instance = format!("uuid:{}", self.uuid());
        let known = self.form(form);
        if known.submissions.get(id).is_none_or(|submission| submission.status.is_some()) {
            return false;
        }
        let (version, mut files) = (known.current().name.clone(), expected(known, answers));
        let answers = stamped(answers.clone(), &instance);
        self.change(form, id, false, |submission, now| {
            for (name, file) in &mut files {
                *file = submission.files.remove(name).flatten();
            }
            submission.files = files;
            submission.answers = answers;
            submission.instance = instance;
            submission.form_version = version;
            submission.edits += 1;
            submission.review_state = Some("edited".to_owned());
            submission.updated = Some(now);
        })
    }

    /// Reviews a submission: `approved`, `hasIssues`, `rejected`, or none for "received".
    pub fn review(&mut self, form: &str, id: &str, state: Option<&str>) -> bool {
        self.change(form, id, false, |submission, now| {
            submission.review_state = state.map(str::to_owned);
            submission.updated = Some(now);
        })
    }

    /// Comments on a submission, of which no feed tells.
    pub fn comment(&mut self, form: &str, id: &str) -> bool {
        self.form(form).submissions.get(id).is_some()
    }

    /// Deletes a submission. False when it isn't there.
    pub fn delete(&mut self, form: &str, id: &str) -> bool {
        self.change(form, id, false, |submission, now| submission.deleted_at = Some(now))
    }

    /// Restores a deleted submission: no time moves.
    pub fn restore(&mut self, form: &str, id: &str) -> bool {
        self.change(form, id, true, |submission, _| submission.deleted_at = None)
    }

    /// Removes a deleted submission for good.
    pub fn purge(&mut self, form: &str, id: &str) -> bool {
        let submissions = &mut self.form_mut(form).submissions;
        submissions.get(id).is_some_and(Submission::is_deleted) && submissions.remove(id).is_some()
    }

    /// Uploads a file that a submission expects, or replaces it: no time or ETag moves. False when it isn't expected.
    pub fn upload(&mut self, form: &str, id: &str, name: &str, content: impl Into<Bytes>, content_type: &str) -> bool {
        self.put_file(form, id, name, Some(File::new(content.into(), content_type)))
    }

    /// Removes the content of a file, which is expected on.
    pub fn clear(&mut self, form: &str, id: &str, name: &str) -> bool {
        self.put_file(form, id, name, None)
    }

    fn put_file(&mut self, form: &str, id: &str, name: &str, content: Option<File>) -> bool {
        let submission = self.form_mut(form).submissions.get_mut(id).filter(|known| !known.is_deleted());
        let Some(file) = submission.and_then(|submission| submission.files.get_mut(name)) else { return false };
        *file = content;
        true
    }

    /// The file of this content, wherever it is.
    pub(super) fn file_of(&self, md5: &str) -> Option<File> {
        let submissions = self.forms.values().flat_map(|form| form.submissions.newest_first());
        let mut files = submissions.flat_map(|submission| submission.files.values().flatten());
        files.find(|file| file.md5 == md5).cloned()
    }

    /// Gives the one who submits another name: it changes in all rows, and no time or ETag does.
    pub fn rename_submitter(&mut self, name: &str) {
        self.submitters.insert(super::SUBMITTER, name.to_owned());
        for form in self.forms.values_mut() {
            form.submissions.all_mut().for_each(|submission| name.clone_into(&mut submission.submitter.1));
        }
    }

    /// The ids of the submissions that are there, or of the deleted ones; newest first.
    pub fn submissions(&self, form: &str, deleted: bool) -> Vec<String> {
        let all = self.form(form).submissions.newest_first();
        all.filter(|submission| submission.is_deleted() == deleted).map(|submission| submission.id.clone()).collect()
    }

    /// The row of a submission with its repeats, deleted or not.
    pub fn row(&self, form: &str, id: &str) -> Option<Json> {
        let form = self.form(form);
        let shape = Shape { select: None, expand: true, knows_deletions: true };
        let mut text = String::new();
        form.submissions.get(id)?.write(&mut text, form, &shape);
        Some(serde_json::from_str(&text).expect("our own JSON"))
    }

    /// What was answered in a submission, without what the server adds.
    pub fn answers(&self, form: &str, id: &str) -> Option<Json> {
        Some(self.form(form).submissions.get(id)?.answers.clone())
    }

    /// The files that a submission expects.
    pub fn files(&self, form: &str, id: &str) -> Vec<Expected> {
        let submission = self.form(form).submissions.get(id);
        let files = submission.into_iter().flat_map(|submission| &submission.files);
        let expected = |(name, file): (&String, &Option<File>)| Expected {
            name: name.clone(),
            md5: file.as_ref().map(|file| file.md5.clone()),
            size: file.as_ref().map_or(0, |file| file.bytes.len()),
        };
        files.map(expected).collect()
    }
}
