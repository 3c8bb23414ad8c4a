//! Everything that the server knows: one project with forms and datasets, its clock, and what people do to it.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use super::account::{Accounts, Right};
use super::clock::{Clock, milliseconds};
use super::entity::Dataset;
use super::form::{Field, Form};
use super::release::Release;
use super::submission::Submission;

/// Everything.
#[derive(Debug)]
pub struct World {
    pub(super) accounts: Accounts,
    pub(super) clock: Clock,
    pub(super) datasets: BTreeMap<String, Dataset>,
    pub(super) dice: Rng,
    /// Where the server believes to be: nextLinks lead there.
    pub(super) domain: String,
    pub(super) files_in_s3: bool,
    pub(super) forms: BTreeMap<String, Form>,
    pub(super) latency: Duration,
    pub(super) release: Release,
    /// What was submitted and not committed, with its form.
    pub(super) uncommitted: Vec<(String, Submission)>,
    pub(super) submitters: BTreeMap<u64, String>,
    event: u64,
    number: u64,
}

impl Default for World {
    fn default() -> Self {
        let mut world = World {
            accounts: Accounts::default(),
            clock: Clock::default(),
            datasets: BTreeMap::new(),
            dice: Rng::with_seed(5),
            domain: "https://odk.example.org".to_owned(),
            files_in_s3: false,
            forms: BTreeMap::new(),
            latency: Duration::ZERO,
            release: Release::V2026_2,
            uncommitted: Vec::new(),
            submitters: BTreeMap::from([(super::SUBMITTER, super::SUBMITTER_NAME.to_owned())]),
            event: 0,
            number: 0,
        };
        world.set_user(super::EMAIL, super::PASSWORD, Right::Viewer);
        world
    }
}

impl World {
    /// Its time, in milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Stops the clock: from now on it only moves when it is told to.
    pub fn stop_clock(&mut self) {
        self.clock.stop();
    }

    /// Puts the clock forward.
    pub fn advance(&mut self, time: Duration) {
        self.clock.shift(milliseconds(time));
    }

    /// Puts the clock back.
    pub fn set_back(&mut self, time: Duration) {
        self.clock.shift(-milliseconds(time));
    }

    /// Behaves as this release from now on.
    pub fn set_release(&mut self, release: Release) {
        self.release = release;
    }

    /// The release that it behaves as.
    pub fn release(&self) -> Release {
        self.release
    }

    /// Believes from now on to be at this address, to which nextLinks lead.
    pub fn set_domain(&mut self, domain: &str) {
        domain.clone_into(&mut self.domain);
    }

    /// Answers each request so late from now on.
    pub fn set_latency(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// Whether files lie in S3, so that a download is a redirect to another host.
    pub fn set_files_in_s3(&mut self, in_s3: bool) {
        self.files_in_s3 = in_s3;
    }

    pub(super) fn next_event(&mut self) -> u64 {
        self.event += 1;
        self.event
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    pub(super) fn uuid(&mut self) -> String {
        let bits = self.dice.u128(..);
        let (high, low) = ((bits >> 64) as u64, bits as u64);
        let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0x0fff);
        format!("{a:08x}-{b:04x}-4{c:03x}-8{:03x}-{:012x}", (low >> 48) & 0x0fff, low & 0xffff_ffff_ffff)
    }

    /// Publishes a form for the first time.
    pub fn add_form(&mut self, form: &str, version: &str, fields: Vec<Field>) {
        let now = self.now();
        let mut made = Form::new(form, now);
        made.publish(version, fields, now);
        let before = self.forms.insert(form.to_owned(), made);
        assert!(before.is_none(), "there is a form {form} already");
    }

    /// Publishes a new version of a form: from now on all rows have its columns.
    pub fn publish(&mut self, form: &str, version: &str, fields: Vec<Field>) {
        let now = self.now();
        self.form_mut(form).publish(version, fields, now);
    }

    /// The fields of a form's current version.
    pub fn fields(&self, form: &str) -> Vec<Field> {
        self.form(form).current().fields.clone()
    }

    /// Deletes a form: nothing of it is found any more.
    pub fn delete_form(&mut self, form: &str) {
        self.form_mut(form).deleted = true;
    }

    /// Takes a deleted form back.
    pub fn restore_form(&mut self, form: &str) {
        self.form_mut(form).deleted = false;
    }

    /// Encrypts what is submitted from now on by this key.
    pub fn set_key(&mut self, form: &str, key: Option<u64>) {
        self.form_mut(form).key = key;
    }

    pub(super) fn form(&self, form: &str) -> &Form {
        self.forms.get(form).unwrap_or_else(|| panic!("no form {form}"))
    }

    pub(super) fn form_mut(&mut self, form: &str) -> &mut Form {
        self.forms.get_mut(form).unwrap_or_else(|| panic!("no form {form}"))
    }
}
