//! The whole of `infra/template.yaml`, deployed by the SAM CLI into the emulator of AWS, with the real functions.
//!
//! The template is the one of `infra/`: only the paths of code and layer are led to what lies ready here, as `sam build`
//! does it. What stands for Lambda's `/opt` is a folder into which the deployed layer is unpacked, because the emulator runs
//! functions as processes of this machine and unpacks no layer for them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::python::{Python, run};
use crate::{Aws, Invocation, built, tools};

/// How long a deployment may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// The folder that Lambda unpacks layers into.
const OPT: &str = "/opt";

/// A deployed stack. The emulator and what it runs end with this process.
#[derive(Debug)]
pub struct Bundle {
    aws: &'static Aws,
    stack: String,
    /// What is deployed, and what functions read.
    place: PathBuf,
}

impl Bundle {
    /// Deploys the template as `stack`, with `mapping` as the text of `tributary.yaml` and parameters in place of the
    /// defaults. Panics when that fails. Of functions that are switched off there is no program, also for a later
    /// deployment.
    pub async fn deploy(stack: &str, mapping: &str, parameters: &[(&str, &str)]) -> Self {
        let bundle = Bundle::prepared(stack, mapping, Some(parameters)).await;
        bundle.redeploy(parameters).await;
        bundle
    }

    /// As [`Bundle::deploy`], for a deployment that is expected to be refused: what the SAM CLI said, in one line.
    pub async fn refused(stack: &str, mapping: &str, parameters: &[(&str, &str)]) -> String {
        let bundle = Bundle::prepared(stack, mapping, None).await;
        let output = bundle.sam(parameters).await;
        assert!(!output.status.success(), "it is deployed: {}", said(&output));
        said(&output).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The functions that these parameters switch on are the real ones. Nothing that could run lies in the place of others.
    async fn prepared(stack: &str, mapping: &str, parameters: Option<&[(&str, &str)]>) -> Self {
        let aws = Aws::with_functions().await;
        let place = aws.make_directory(stack);
        fs::write(place.join("tributary.yaml"), mapping).expect("write the mapping");
        let bundle = Bundle { aws, stack: stack.to_owned(), place };
        aws.create_bucket(&bundle.bucket()).await;
        let place = bundle.place.clone();
        let template = fs::read_to_string(template_file()).expect("read the template");
        let (template, functions) = with_artifacts(&template, &place);
        fs::write(place.join("template.yaml"), template).expect("write the template");
        let runs = |name: &str| parameters.is_some_and(|parameters| is_on(name, parameters));
        let functions: Vec<(String, bool)> = functions.into_iter().map(|name| (name.clone(), runs(&name))).collect();
        tokio::task::spawn_blocking(move || build(&place, &functions)).await.expect("build what the template names");
        bundle
    }

    /// Deploys the stack once more. A parameter that is not given keeps its value.
    pub async fn redeploy(&self, parameters: &[(&str, &str)]) {
        let output = self.sam(parameters).await;
        assert!(output.status.success(), "sam deploy: {}", said(&output));
        self.unpack_layer().await;
        // Numbers of an update stay text in the emulator, and so does the concurrency: it then cannot count with them.
        let number = |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok());
        for mapping in self.mappings_of("").await {
            let Some(uuid) = mapping["UUID"].as_str() else { continue };
            if let Some(size) = number(&mapping["BatchSize"]) {
                self.change_event_source_mapping(uuid, &json!({ "BatchSize": size })).await;
            }
            if let Some(most) = number(&mapping["ScalingConfig"]["MaximumConcurrency"]) {
                let scaling = json!({ "ScalingConfig": { "MaximumConcurrency": most } });
                self.change_event_source_mapping(uuid, &scaling).await;
            }
        }
    }

    async fn sam(&self, parameters: &[(&str, &str)]) -> Output {
        let sam = tokio::task::spawn_blocking(tools::sam).await.expect("find the SAM CLI");
        let place = &*self.place;
        let mapping_file = default_of("MappingFile").replacen(OPT, &place.join("opt").to_string_lossy(), 1);
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
        let ours = [("Architecture", architecture), ("MappingFile", &mapping_file)];
        let overrides = ours.iter().chain(parameters).map(|(name, value)| {
            assert!(!value.contains(['"', '\\']), "{name}: a value that needs no escape");
            format!("ParameterKey={name},ParameterValue=\"{value}\"")
        });
        let mut command = tokio::process::Command::new(sam);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", place);
        command.envs(self.aws.environment()).env("SAM_CLI_TELEMETRY", "0");
        command.current_dir(place).args(["deploy", "--template-file", "template.yaml", "--no-confirm-changeset"]);
        command.args(["--stack-name", &self.stack, "--s3-bucket", &self.bucket(), "--no-progressbar"]);
        command.args(["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]);
        command.arg("--parameter-overrides").args(overrides).stdin(std::process::Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("sam deploy comes to an end");
        output.expect("run sam")
    }

    /// Puts the deployed layer where the functions look for it.
    async fn unpack_layer(&self) {
        let layer = format!("/2018-10-31/layers/{}-mapping/versions", self.stack);
        let versions = self.aws.request("lambda", "GET", &layer, &[], "").await.json();
        let newest = versions["LayerVersions"]
            .as_array()
            .and_then(|all| all.iter().map(|one| &one["Version"]).max_by_key(|number| number.as_u64()));
        let version =
            self.aws.request("lambda", "GET", &format!("{layer}/{}", newest.expect("a layer")), &[], "").await.json();
        let location = version["Content"]["Location"].as_str().expect("the place of the layer");
        let path = location.splitn(4, '/').nth(3).expect("a path");
        let content = self.aws.request("lambda", "GET", &format!("/{path}"), &[], "").await.success();
        let place = &*self.place;
        fs::write(place.join("layer.zip"), &content.body).expect("write the layer");
        let python = Python::find(place).expect("find Python");
        run(place, &python.program, &["-m", "zipfile", "-e", "layer.zip", "opt"]).expect("unpack the layer");
    }

    /// The emulator that it is deployed into.
    pub fn aws(&self) -> &'static Aws {
        self.aws
    }

    /// The name of the stack.
    pub fn stack(&self) -> &str {
        &self.stack
    }

    /// The bucket that artifacts are put into.
    fn bucket(&self) -> String {
        format!("{}-artifacts", self.stack)
    }

    /// What a function of `functions/` is called in the stack.
    pub fn function_name(&self, function: &str) -> String {
        format!("{}-{function}", self.stack)
    }

    /// The description of a function: `Configuration` of Lambda's GetFunction.
    pub async fn function(&self, function: &str) -> Value {
        let path = format!("/2015-03-31/functions/{}", self.function_name(function));
        self.aws.request("lambda", "GET", &path, &[], "").await.json()["Configuration"].take()
    }

    /// Invokes a function and waits for its answer, as `aws lambda invoke` does.
    pub async fn invoke(&self, function: &str, payload: impl Into<Bytes>) -> Invocation {
        let path = format!("/2015-03-31/functions/{}/invocations", self.function_name(function));
        let answer = self.aws.request("lambda", "POST", &path, &[], payload).await;
        let answer = answer.success();
        match answer.headers.get("x-amz-function-error") {
            None => Invocation::Response(answer.body),
            Some(kind) => Invocation::Error { kind: kind.to_str().unwrap_or_default().to_owned(), body: answer.body },
        }
    }

    /// Invokes a function as a schedule does in AWS: nobody waits for the answer, and Lambda puts a failure to the destination.
    pub async fn invoke_unattended(&self, function: &str, payload: impl Into<Bytes>) {
        let path = format!("/2015-03-31/functions/{}/invocations", self.function_name(function));
        let headers = [("x-amz-invocation-type", "Event")];
        self.aws.request("lambda", "POST", &path, &headers, payload).await.success();
    }

    /// What a function has written to its log group so far, a line each.
    pub async fn log_lines(&self, function: &str) -> Vec<String> {
        let group = format!("/aws/lambda/{}", self.function_name(function));
        let mut lines = Vec::new();
        let mut request = json!({ "logGroupName": group, "limit": 10_000 });
        loop {
            let answer = self.aws.call("logs", "Logs_20140328.FilterLogEvents", &request).await;
            let events = answer["events"].as_array().expect("events");
            lines.extend(events.iter().filter_map(|event| event["message"].as_str()).map(str::to_owned));
            match answer["nextToken"].as_str() {
                Some(token) if !events.is_empty() => request["nextToken"] = token.into(),
                _ => return lines,
            }
        }
    }

    /// What event source mappings a function has.
    pub async fn event_source_mappings(&self, function: &str) -> Vec<Value> {
        self.mappings_of(&format!("?FunctionName={}", self.function_name(function))).await
    }

    async fn mappings_of(&self, query: &str) -> Vec<Value> {
        let path = format!("/2015-03-31/event-source-mappings{query}");
        let answer = self.aws.request("lambda", "GET", &path, &[], "").await.json();
        answer["EventSourceMappings"].as_array().expect("a list").clone()
    }

    /// Changes an event source mapping, as UpdateEventSourceMapping does.
    pub async fn change_event_source_mapping(&self, uuid: &str, change: &Value) {
        let path = format!("/2015-03-31/event-source-mappings/{uuid}");
        self.aws.request("lambda", "PUT", &path, &[], change.to_string()).await.json();
    }

    /// The alarms of the stack.
    pub async fn alarms(&self) -> Vec<Value> {
        let request = json!({ "AlarmNamePrefix": format!("{}-", self.stack) });
        let answer = self.aws.call("monitoring", "GraniteServiceVersion20100801.DescribeAlarms", &request).await;
        answer["MetricAlarms"].as_array().expect("a list").clone()
    }

    /// An output of the stack, such as the URL of a function. Panics when it has none of this name.
    pub async fn output(&self, name: &str) -> String {
        let path = format!("/?Action=DescribeStacks&Version=2010-05-15&StackName={}", self.stack);
        let answer = self.aws.request("cloudformation", "POST", &path, &[], "").await.success();
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let key = format!("<OutputKey>{name}</OutputKey>");
        let members: Vec<&str> = text.split("<member>").collect();
        let member = members.iter().find(|member| member.contains(&key));
        let member = member.unwrap_or_else(|| panic!("no output {name}: {text}"));
        let value = member.split("<OutputValue>").nth(1).and_then(|rest| rest.split('<').next());
        value.expect("a value").to_owned()
    }

    /// How often an environment of a function was started.
    pub fn cold_starts(&self, function: &str) -> usize {
        let words = format!("environment spawned for {} ", self.function_name(function));
        self.aws.log().matches(&words).count()
    }
}

/// Whether a function runs with these parameters: its switch is its name.
fn is_on(function: &str, parameters: &[(&str, &str)]) -> bool {
    let words = function.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
    let switch: String = words.collect();
    let given = parameters.iter().find(|(name, _)| **name == switch).map(|(_, value)| (*value).to_owned());
    given.unwrap_or_else(|| default_of(&switch)) == "on"
}

/// What `sam build` does: artifacts at `place`, of the functions that shall run.
fn build(place: &Path, functions: &[(String, bool)]) {
    for (function, runs) in functions {
        let folder = place.join("functions").join(function);
        fs::create_dir_all(&folder).expect("make a directory");
        let bootstrap = folder.join("bootstrap");
        if !runs {
            fs::write(bootstrap, "nobody starts it").expect("write a file");
            continue;
        }
        fs::copy(built(function), &bootstrap).expect("copy a function");
        // As what is deployed is stripped; of 59 MB it leaves 32. A machine without the program has slower tests.
        let _ = Command::new("strip").arg(&bootstrap).output();
    }
}

/// `infra/template.yaml`.
fn template_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/template.yaml")
}

/// What the template says is the default of a parameter.
fn default_of(parameter: &str) -> String {
    let template = fs::read_to_string(template_file()).expect("read the template");
    let block = template.split(&format!("\n  {parameter}:\n")).nth(1).expect("a parameter of the template");
    let line = block.lines().find_map(|line| line.trim().strip_prefix("Default: ")).expect("a default");
    line.trim_matches('\'').to_owned()
}

/// The template with its code and its layer at `place`, and the functions that it names. Nothing else of it changes.
fn with_artifacts(template: &str, place: &Path) -> (String, BTreeSet<String>) {
    let mut functions = BTreeSet::new();
    let lines = template.split_inclusive('\n').map(|line| {
        if let Some((before, name)) = line.split_once("CodeUri: ../functions/") {
            let name = name.trim_end();
            functions.insert(name.to_owned());
            return format!("{before}CodeUri: {}\n", place.join("functions").join(name).display());
        }
        match line.split_once("ContentUri: ../tributary.yaml") {
            Some((before, "\n")) => format!("{before}ContentUri: {}\n", place.join("tributary.yaml").display()),
            _ => line.to_owned(),
        }
    });
    let changed: String = lines.collect();
    let uris = |text: &str, of: &str| text.matches(of).count();
    for left in ["CodeUri: ..", "ContentUri: .."] {
        assert_eq!(uris(&changed, left), 0, "a path of the template that the tests don't know, at `{left}`");
    }
    assert!(!functions.is_empty(), "the template names no code");
    (changed, functions)
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_runs_when_its_switch_is_on() {
        let check = |function: &str, parameters: &[(&str, &str)], expect: bool| {
            assert_eq!(is_on(function, parameters), expect, "{function} {parameters:?}");
        };
        check("dynamodb-stream", &[], true);
        check("dynamodb-stream", &[("StreamArn", "x"), ("DynamodbStream", "off")], false);
        check("sequin-poll", &[], false);
        check("sequin-poll", &[("SequinPoll", "on")], true);
    }

    #[test]
    fn only_code_and_layer_change() {
        let template = fs::read_to_string(template_file()).unwrap();
        let (changed, functions) = with_artifacts(&template, Path::new("/x"));
        let differ = |(ours, theirs): &(&str, &str)| ours != theirs;
        let changes: Vec<_> = changed.lines().zip(template.lines()).filter(differ).collect();
        assert_eq!(changes.len(), functions.len() + 1, "{changes:?}");
        for (ours, theirs) in changes {
            let key = |line: &str| line.trim().split(": ").next().unwrap().to_owned();
            assert!(["CodeUri", "ContentUri"].contains(&&*key(ours)) && key(ours) == key(theirs), "{ours}, {theirs}");
        }
        assert_eq!(changed.lines().count(), template.lines().count());
    }
}
