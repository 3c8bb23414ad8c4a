//! A hint of central-webhook, as it is deployed: the function that takes webhooks has the one of its stack poll ODK Central,
//! which brings the submission and its picture.

use serde_json::{Value, json};
use tributary_tests::odk::{EMAIL, Odk, PASSWORD, survey};
use tributary_tests::{Bundle, Database};

use crate::fixture::*;

/// What central-webhook was given as its API key.
const KEY: &str = "f3b1c9d2e8";

const MAPPING: &str = "
datastores:
  warehouse: { type: postgres, secret: central/warehouse, tls: off }
  field: { type: odk, base_url: 'CENTRAL', auth: { secret: central/login } }
pipelines:
  survey:
    source: { datastore: field, project: 1, form: GRARentalDataCollection, every: 1d }
    sink:
      datastore: warehouse
      tables: { survey: { columns: auto, children: auto, view: survey_unified } }
      attachments: { to: { s3: central-pictures } }
  hint:
    source:
      type: webhook
      hook: central
      verify: { scheme: header, header: X-API-Key, secret: { secret: central/hook } }
      envelope: { type: central, runs: survey }
";

#[tokio::test]
async fn a_hint_of_central_webhook_runs_odk_poll() {
    let odk = Odk::start().await;
    odk.world().add_form(survey::FORM, "1", survey::fields());
    let mapping = MAPPING.replace("CENTRAL", &odk.url());
    let database = Database::alone("central", false, &[]).await;
    let warehouse = Warehouse::new("central", &mapping, database, None).await;
    // The tables follow the form, so who writes them has to own them, as README.md of the function says.
    let owner = "alter table survey owner to tributary_sync; alter table survey_attachment owner to tributary_sync; \
                 grant create on schema public to tributary_sync";
    warehouse.database.execute(owner).await;
    let mut arns = vec![warehouse.secret_arn.clone()];
    let login = json!({ "email": EMAIL, "password": PASSWORD }).to_string();
    for (name, value) in [("central/login", login.as_str()), ("central/hook", KEY)] {
        let secret = json!({ "Name": name, "SecretString": value });
        let made = warehouse.aws.call("secretsmanager", "secretsmanager.CreateSecret", &secret).await;
        arns.push(made["ARN"].as_str().unwrap().to_owned());
    }
    warehouse.aws.create_bucket("central-pictures").await;
    let secrets = arns.join(",");
    let parameters = [
        ("DynamodbStream", "off"),
        ("OdkPoll", "on"),
        // By itself it would come too late for this test.
        ("OdkRate", "rate(2 hours)"),
        ("OdkBucket", "central-pictures"),
        ("Webhook", "on"),
        ("SecretArns", &*secrets),
    ];
    let bundle = Bundle::deploy("central", &mapping, &parameters).await;
    let url = bundle.output("WebhookFunctionUrl").await;
    let host = url.strip_prefix("https://").unwrap().trim_end_matches('/').to_owned();
    let hint = async |key: &str, body: &Value| {
        let headers = [("X-API-Key", key), ("content-type", "application/json")];
        bundle.aws().send(&host, "POST", "/hooks/central", &headers, body.to_string()).await.status.as_u16()
    };

    let id = odk.world().create(survey::FORM, &survey::answers("by hint", 2));
    assert!(odk.world().upload(survey::FORM, &id, "building.jpg", b"a house".to_vec(), "image/jpeg"));
    let made = json!({ "type": "submission.create", "id": id, "data": { "xml": "<data/>" } });
    assert_eq!(hint("guessed", &made).await, 401);
    assert_eq!(odk.count(), 0, "who isn't known has nothing run");
    assert_eq!(hint(KEY, &made).await, 202, "{}", bundle.log_lines("webhook").await.join("\n"));
    let stored = "select state from survey_attachment where name = 'building.jpg'";
    warehouse.awaits(stored, "stored", SECONDS).await;
    let unified = "select submission_id, floors, person_details -> 1 ->> 'first_name' from \
                   (select submission_id, property_description_floors as floors, person_details from survey_unified) as v";
    assert_eq!(warehouse.database.rows(unified).await, [format!("{id} | 3 | P01")]);
    let location = warehouse.database.rows("select location from survey_attachment where state = 'stored'").await;
    let key = location[0].strip_prefix("s3:/").unwrap();
    assert_eq!(bundle.aws().request("s3", "GET", key, &[], "").await.success().body, "a house");

    // Forced: the pipeline rests for a day.
    assert!(odk.world().review(survey::FORM, &id, Some("approved")));
    let reviewed = json!({ "type": "submission.update", "id": id, "data": { "reviewState": "approved" } });
    assert_eq!(hint(KEY, &reviewed).await, 202);
    warehouse.awaits("select system_review_state from survey_unified", "approved", SECONDS).await;
    let log = [bundle.log_lines("odk-poll").await, bundle.log_lines("webhook").await].concat().join("\n");
    assert!(
        !log.contains(PASSWORD) && !log.contains(KEY) && !log.contains("P01"),
        "a secret or a value is in the log: {log}"
    );
}
