//! The local runner where no database is named.

use crate::program::tributary;

#[test]
fn invoke_brings_its_own_postgres() {
    let said = tributary("invoke dynamodb-stream --json --event events/dynamodb-stream/insert.json").run().ends(0);
    assert_eq!(said.json()["answers"][0]["figures"]["applied"], 12);
    assert!(said.stderr.contains("no database is named"), "{}", said.stderr);
}
