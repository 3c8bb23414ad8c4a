//! The function's own way, in a process of its own: empty tables, nothing known of the form.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary_core::pipeline::SecretRef;
use tributary_core::sink::Unlimited;
use tributary_postgres::connect::{Policy, Target};
use tributary_runtime::odk_poll::OdkPoll;
use tributary_runtime::secrets::{Secret, Secrets};
use tributary_runtime::sinks::Sinks;
use tributary_runtime::tick::{Request, Ticker};
use tributary_tests::odk::{EMAIL, PASSWORD};

use crate::stage::connect;
use crate::{Failure, Took, peak_mb, tell};

struct Password;

impl Secrets for Password {
    async fn get(&self, _reference: &SecretRef) -> tributary_core::Result<Secret> {
        Ok(Secret::new(PASSWORD))
    }

    fn evict(&self, _reference: &SecretRef) {}
}

/// When the first pass is complete, in seconds: the watermark is written with its last page.
async fn first_pass(client: tokio_postgres::Client, began: Instant) -> Result<f64, Failure> {
    let sql = "select count(*) from tributary.checkpoint where partition = 'odk' and position like '%\"since\":%'";
    while client.query_one(sql, &[]).await?.get::<_, i64>(0) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(began.elapsed().as_secs_f64())
}

/// Reads the whole form and tells how long it took; then, when it is told to, once more without news.
pub(crate) async fn poll(server: &str, database: &str) -> Result<(), Failure> {
    let text = format!(
        "datastores:
  warehouse: {{ type: postgres, url: {{ env: DATABASE_URL }} }}
  field: {{ type: odk, base_url: '{server}', auth: {{ email: {EMAIL}, password: {{ env: ODK_PASSWORD }} }} }}
pipelines:
  survey:
    source: {{ datastore: field, project: 1, form: GRARentalDataCollection }}
    sink:
      datastore: warehouse
      tables: {{ submission: {{ columns: auto, children: auto, view: submission_unified }} }}
"
    );
    let mut mapping = tributary_core::mapping::load("survey.yaml", &text).mapping.ok_or("the mapping has findings")?;
    mapping.pipelines.iter_mut().for_each(|pipeline| pipeline.source.every = Duration::ZERO);
    let mapping = Arc::new(mapping);
    let target = Target::from_url(database, &Policy::default())?;
    let mut sinks = Sinks::new(&mapping, mapping.pipelines.iter(), |_, _| target.clone());
    for (_, sink) in sinks.iter_mut() {
        sink.migrate().await?;
    }
    let mut ticker = Ticker::new(Arc::clone(&mapping), sinks, OdkPoll::new(Arc::new(Password)))?;
    ticker.warm_up().await;
    let began = Instant::now();
    let pass = tokio::spawn(first_pass(connect(database).await?, began));
    let report = ticker.tick(&Request::default(), &Unlimited).await?.into_result()?;
    let took = began.elapsed();
    let pass = pass.await??;
    tell(&Took { seconds: took.as_secs_f64(), pass: Some(pass), peak_mb: peak_mb() })?;
    if report.pipelines().iter().any(|line| line.dead > 0 || line.state != "drained") {
        return Err(format!("not all of it: {report:?}").into());
    }
    std::io::stdin().read_line(&mut String::new())?;
    ticker.tick(&Request::default(), &Unlimited).await?.into_result()?;
    println!("again");
    Ok(())
}
