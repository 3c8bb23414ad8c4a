//! The database's password changes. Nothing is deployed and no environment starts anew; what comes meanwhile waits.

use crate::fixture::*;

#[tokio::test]
async fn a_rotated_secret_is_picked_up_without_a_restart() {
    let world = World::shared().await;
    let (aws, warehouse, bundle) = (world.bundle.aws(), &world.warehouse, &world.bundle);
    let _turn = world.turn.lock().await;
    let name = |number| format!("select name from profile where id = '{}'", id(2, number));
    put(aws, "users", user(&id(2, 0), "Zero")).await;
    warehouse.awaits(&name(0), "Zero", SECONDS).await;
    let environments = bundle.cold_starts(STREAM);
    assert_ne!(environments, 0, "{}", aws.log());

    // As RDS does it: database and secret together, connections stay open until somebody ends them.
    warehouse.change_password("second").await;
    warehouse.put_secret("second").await;
    warehouse.disconnect().await;
    put(aws, "users", user(&id(2, 1), "One")).await;
    warehouse.awaits(&name(1), "One", SECONDS).await;

    // The secret comes late: each invocation fails, and the stream keeps the item.
    warehouse.change_password("third").await;
    warehouse.disconnect().await;
    put(aws, "users", user(&id(2, 2), "Two")).await;
    let refused = async || {
        for _ in 0..200 {
            if bundle.log_lines(STREAM).await.iter().any(|line| line.contains("password authentication failed")) {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        false
    };
    assert!(refused().await, "nobody was refused: {}", aws.log());
    assert_eq!(warehouse.database.rows(&name(2)).await, [""; 0], "it is there without a password");
    warehouse.put_secret("third").await;
    warehouse.awaits(&name(2), "Two", SECONDS).await;
    assert_eq!(bundle.cold_starts(STREAM), environments, "an environment was started: {}", aws.log());
    let log = bundle.log_lines(STREAM).await.join("\n");
    for password in ["second", "third"] {
        assert!(!log.contains(&format!("{password}\"")) && !log.contains(&format!(":{password}@")), "{log}");
    }
}
