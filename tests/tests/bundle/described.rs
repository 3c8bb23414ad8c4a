//! What stands there after the deployment: settings that the emulator keeps but does not act on.

use serde_json::{Value, json};

use crate::fixture::*;

/// Whether everything of `expect` stands so in `found`. Numbers may be text: CloudFormation hands parameters on as that.
#[track_caller]
fn has(found: &Value, expect: &Value) {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for (name, value) in expect.as_object().unwrap() {
        assert_eq!(plain(&found[name]), plain(value), "{name} of {found:#}");
    }
}

#[tokio::test]
async fn the_function_has_its_settings_and_no_secret() {
    let world = World::shared().await;
    let function = world.bundle.function(STREAM).await;
    has(&function, &json!({ "Runtime": "provided.al2023", "Handler": "bootstrap", "MemorySize": 256, "Timeout": 30 }));
    let role = function["Role"].as_str().unwrap();
    assert!(role.contains(":role/bundle-DynamodbStreamRole-"), "{role}");
    let group = json!({ "LogFormat": "Text", "LogGroup": "/aws/lambda/bundle-dynamodb-stream" });
    assert_eq!(function["LoggingConfig"], group);
    let variables = &function["Environment"]["Variables"];
    let names: Vec<&String> = variables.as_object().unwrap().keys().collect();
    assert_eq!(names, ["TRIBUTARY_LOG", "TRIBUTARY_MAPPING"], "{variables}");
    assert!(variables["TRIBUTARY_MAPPING"].as_str().unwrap().ends_with("/opt/tributary.yaml"), "{variables}");
    let layers = function["Layers"].as_array().unwrap();
    assert_eq!(layers.len(), 1, "{function:#}");
    assert!(layers[0]["Arn"].as_str().unwrap().contains(":layer:bundle-mapping:"), "{function:#}");
}

#[tokio::test]
async fn each_stream_has_its_mapping() {
    let world = World::shared().await;
    let mappings = world.bundle.event_source_mappings(STREAM).await;
    assert_eq!(mappings.len(), world.streams.len(), "{mappings:#?}");
    for stream in &world.streams {
        let mapping = mappings.iter().find(|mapping| mapping["EventSourceArn"] == **stream);
        let expect = json!({
            "State": "Enabled", "StartingPosition": "TRIM_HORIZON", "BatchSize": 1000, "MaximumBatchingWindowInSeconds": 1,
            "ParallelizationFactor": 1, "MaximumRetryAttempts": -1, "MaximumRecordAgeInSeconds": -1,
            "BisectBatchOnFunctionError": true, "FunctionResponseTypes": ["ReportBatchItemFailures"],
        });
        has(mapping.unwrap_or_else(|| panic!("none of {stream}")), &expect);
    }
}

#[tokio::test]
async fn the_log_keeps_its_days_and_counts_dead_letters() {
    let world = World::shared().await;
    let aws = world.bundle.aws();
    let group = "/aws/lambda/bundle-dynamodb-stream";
    let groups = aws.call("logs", "Logs_20140328.DescribeLogGroups", &json!({ "logGroupNamePrefix": group })).await;
    has(&groups["logGroups"][0], &json!({ "logGroupName": group, "retentionInDays": 14 }));
    let filters = aws.call("logs", "Logs_20140328.DescribeMetricFilters", &json!({ "logGroupName": group })).await;
    let transformation = json!({
        "metricNamespace": "Tributary/bundle", "metricName": "dynamodb-stream-dead", "metricValue": "$.dead",
    });
    assert_eq!(filters["metricFilters"].as_array().map(Vec::len), Some(1), "{filters:#}");
    let filter = &filters["metricFilters"][0];
    assert_eq!(filter["filterPattern"], "{ ($._aws.Timestamp = *) && ($.dead > 0) }");
    has(&filter["metricTransformations"][0], &transformation);
}

#[tokio::test]
async fn there_are_alarms_and_each_watches_this_stack() {
    let world = World::shared().await;
    let alarms = world.bundle.alarms().await;
    let mappings = world.bundle.event_source_mappings(STREAM).await;
    let source = |stream: &String| {
        let mapping = mappings.iter().find(|mapping| mapping["EventSourceArn"] == **stream).unwrap();
        json!([{ "Name": "EventSourceMappingUUID", "Value": mapping["UUID"] }])
    };
    let function = json!([{ "Name": "FunctionName", "Value": "bundle-dynamodb-stream" }]);
    let mut expect = vec![
        ("Dropped", "AWS/Lambda", "DroppedEventCount", source(&world.streams[0]), 1.0),
        ("Dropped", "AWS/Lambda", "DroppedEventCount", source(&world.streams[1]), 1.0),
        ("IteratorAge", "AWS/Lambda", "IteratorAge", function.clone(), 43_200_000.0),
        ("Errors", "AWS/Lambda", "Errors", function.clone(), 1.0),
        ("Throttles", "AWS/Lambda", "Throttles", function.clone(), 1.0),
        ("Duration", "AWS/Lambda", "Duration", function, 24_000.0),
        ("Dead", "Tributary/bundle", "dynamodb-stream-dead", json!([]), 1.0),
    ];
    for alarm in &alarms {
        let (name, dimensions) = (alarm["AlarmName"].as_str().unwrap(), &alarm["Dimensions"]);
        let known = expect.iter().position(|(part, namespace, metric, of, threshold)| {
            name.starts_with(&format!("bundle-DynamodbStream{part}Alarm"))
                && (&alarm["Namespace"], &alarm["MetricName"]) == (&json!(namespace), &json!(metric))
                && (dimensions, &alarm["Threshold"]) == (of, &json!(threshold))
        });
        expect.remove(known.unwrap_or_else(|| panic!("unknown, or one of these otherwise: {expect:?}\n{alarm:#}")));
    }
    assert!(expect.is_empty(), "not there: {expect:?}");
}

#[tokio::test]
async fn there_is_a_dashboard_of_this_function() {
    let world = World::shared().await;
    let target = "GraniteServiceVersion20100801.GetDashboard";
    let answer = world.bundle.aws().call("monitoring", target, &json!({ "DashboardName": "bundle" })).await;
    let body: Value = serde_json::from_str(answer["DashboardBody"].as_str().unwrap()).expect("its text is JSON");
    let widgets = body["widgets"].as_array().unwrap();
    assert_eq!(widgets.len(), 12, "{body:#}");
    let text = body.to_string();
    assert!(!text.contains("${"), "something is not replaced: {text}");
    let invocations = &widgets[8]["properties"]["metrics"][0][0]["expression"];
    assert!(invocations.as_str().unwrap().contains(r#"AND (FunctionName="bundle-dynamodb-stream")'"#), "{invocations}");
    let query = widgets[11]["properties"]["query"].as_str().unwrap();
    assert!(query.starts_with("SOURCE '/aws/lambda/bundle-dynamodb-stream' | fields "), "{query}");
    // What is switched off is not there, not even as an empty line.
    for function in ["bundle-sequin-poll", "bundle-airtable-poll", "bundle-odk-poll", "bundle-webhook"] {
        assert!(!text.contains(function), "{text}");
    }
    assert!(widgets.iter().all(|widget| widget["properties"]["region"] == "us-east-2"), "{body:#}");
}
