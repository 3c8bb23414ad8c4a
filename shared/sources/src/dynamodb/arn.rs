//! The name of a stream: which table it is of, and when it was enabled.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tributary_core::{Error, Result};

/// The ARN of a DynamoDB stream, `arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/2024-05-01T12:00:00.123`.
///
/// Disabling and enabling a stream gives a new one with a new label, whose sequence numbers don't compare with the
/// old one's; the label as a time is therefore the epoch of a version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamArn {
    text: Box<str>,
    partition: (usize, usize),
    region: (usize, usize),
    account: (usize, usize),
    table: (usize, usize),
    label: (usize, usize),
    epoch: Option<i64>,
}

impl StreamArn {
    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub fn partition(&self) -> &str {
        self.part(self.partition)
    }

    /// The region, `us-east-2`.
    pub fn region(&self) -> &str {
        self.part(self.region)
    }

    /// The account's number.
    pub fn account(&self) -> &str {
        self.part(self.account)
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        self.part(self.table)
    }

    /// The label, as it stands in the ARN.
    pub fn label(&self) -> &str {
        self.part(self.label)
    }

    /// The label as a time, in microseconds since 1970: the epoch of this stream's versions.
    ///
    /// # Errors
    /// `Data` when the label is no time after 1970. The table is known all the same, so that a record of such a stream
    /// finds its pipeline's dead letters.
    pub fn epoch(&self) -> Result<i64> {
        self.epoch.ok_or_else(|| {
            Error::data("the label at the end of the stream's ARN is not a time")
                .with_hint("AWS labels a stream with the time at which it was enabled, like 2024-05-01T12:00:00.123")
        })
    }

    fn part(&self, (start, end): (usize, usize)) -> &str {
        &self.text[start..end]
    }
}

impl FromStr for StreamArn {
    type Err = Error;

    /// # Errors
    /// `Data` when this is not the ARN of a DynamoDB stream.
    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::data("not the ARN of a DynamoDB stream")
                .with_hint("it looks like arn:aws:dynamodb:REGION:ACCOUNT:table/TABLE/stream/LABEL")
        };
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().ok_or_else(bad);
        let (arn, partition, service, region, account, resource) =
            (next()?, next()?, next()?, next()?, next()?, next()?);
        let (table, label) =
            resource.strip_prefix("table/").and_then(|rest| rest.split_once("/stream/")).ok_or_else(bad)?;
        let named = [partition, region, account, table, label].iter().all(|part| !part.is_empty());
        if arn != "arn" || service != "dynamodb" || !named || table.contains('/') || label.contains('/') {
            return Err(bad());
        }
        let range = |part: &str| {
            let start = part.as_ptr() as usize - text.as_ptr() as usize;
            (start, start + part.len())
        };
        Ok(StreamArn {
            text: text.into(),
            partition: range(partition),
            region: range(region),
            account: range(account),
            table: range(table),
            label: range(label),
            epoch: epoch_of(label),
        })
    }
}

impl fmt::Display for StreamArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// AWS labels have milliseconds and no zone; emulators leave out the fraction, add more of it, or a `Z`.
fn epoch_of(label: &str) -> Option<i64> {
    let time: DateTime = label.strip_suffix('Z').unwrap_or(label).parse().ok()?;
    let micros = time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond();
    (micros >= 0).then_some(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_arns_of_every_partition_and_emulator() {
        let check = |arn: &str, parts: [&str; 5], epoch: Option<i64>| {
            let read: StreamArn = arn.parse().unwrap();
            assert_eq!([read.partition(), read.region(), read.account(), read.table(), read.label()], parts);
            assert_eq!(read.epoch().ok(), epoch, "{arn}");
            assert_eq!(read.to_string(), arn);
        };
        check(
            "arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/2024-05-01T12:00:00.123",
            ["aws", "us-east-2", "123456789012", "users", "2024-05-01T12:00:00.123"],
            Some(1_714_564_800_123_000),
        );
        check(
            "arn:aws-cn:dynamodb:cn-north-1:1:table/a.b-c_d/stream/2024-05-01T12:00:00",
            ["aws-cn", "cn-north-1", "1", "a.b-c_d", "2024-05-01T12:00:00"],
            Some(1_714_564_800_000_000),
        );
        check(
            "arn:aws-us-gov:dynamodb:us-gov-west-1:1:table/t/stream/2024-05-01T12:00:00.123456Z",
            ["aws-us-gov", "us-gov-west-1", "1", "t", "2024-05-01T12:00:00.123456Z"],
            Some(1_714_564_800_123_456),
        );
        check(
            "arn:aws:dynamodb:ddblocal:000000000000:table/t/stream/latest",
            ["aws", "ddblocal", "000000000000", "t", "latest"],
            None,
        );
        check(
            "arn:aws:dynamodb:r:1:table/t/stream/1969-12-31T23:59:59.999",
            ["aws", "r", "1", "t", "1969-12-31T23:59:59.999"],
            None,
        );
    }

    #[test]
    fn refuses_what_is_no_stream() {
        for bad in [
            "",
            "users",
            "arn:aws:dynamodb:us-east-2:123456789012:table/users",
            "arn:aws:dynamodb:us-east-2:123456789012:table//stream/2024-05-01T12:00:00",
            "arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/",
            "arn:aws:kinesis:us-east-2:123456789012:stream/users",
            "arn:aws:sqs:us-east-2:123456789012:table/users/stream/2024-05-01T12:00:00",
            "arn:aws:dynamodb:us-east-2:123456789012:table/users/index/x/stream/2024-05-01T12:00:00",
        ] {
            assert!(bad.parse::<StreamArn>().is_err(), "{bad}");
        }
    }
}
