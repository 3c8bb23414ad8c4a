//! What a strategy costs: wall time, the client's and the server's CPU time, WAL. And medians of that.

use std::fs;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio_postgres::Client;

use crate::Failure;

/// What some rows cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) rows: u64,
    pub(crate) wall: Duration,
    pub(crate) client: Duration,
    /// The backend's own time on a CPU; zero where the server runs on another machine.
    pub(crate) server: Duration,
    pub(crate) wal: u64,
}

/// A measurement under way. The time between its laps, in which the next batch is made, doesn't count.
pub(crate) struct Clock {
    backend: i32,
    lsn: u64,
    server: Duration,
    cost: Cost,
}

impl Clock {
    /// Starts to measure what we and the backend with this process number do.
    pub(crate) async fn start(observer: &Client, backend: i32) -> Result<Self, Failure> {
        let lsn = lsn(observer).await?;
        Ok(Clock { backend, lsn, server: cpu_of(backend), cost: Cost::default() })
    }

    /// Measures the writing of some rows.
    pub(crate) async fn lap<T>(&mut self, rows: usize, writing: impl Future<Output = T>) -> T {
        let (client, began) = (own_cpu(), Instant::now());
        let done = writing.await;
        self.cost.wall += began.elapsed();
        self.cost.client += own_cpu() - client;
        self.cost.rows += rows as u64;
        done
    }

    /// Ends the measurement.
    pub(crate) async fn stop(mut self, observer: &Client) -> Result<Cost, Failure> {
        // The backend's last slice is accounted when it goes to sleep, which it is about to do.
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.cost.server = cpu_of(self.backend).saturating_sub(self.server);
        self.cost.wal = lsn(observer).await? - self.lsn;
        Ok(self.cost)
    }
}

/// Where the log of the server ends, in bytes.
pub(crate) async fn lsn(observer: &Client) -> Result<u64, Failure> {
    let query = "select (pg_current_wal_insert_lsn() - '0/0')::bigint";
    Ok(observer.query_one(query, &[]).await?.get::<_, i64>(0) as u64)
}

/// The CPU time of this process, user and system.
pub(crate) fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn cpu_of(process: i32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

/// The middle of some figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => figures[n / 2],
        n => (figures[n / 2 - 1] + figures[n / 2]) / 2.0,
    }
}

impl Cost {
    pub(crate) fn rate(&self) -> f64 {
        self.rows as f64 / self.wall.as_secs_f64()
    }

    pub(crate) fn client_us(&self) -> f64 {
        self.client.as_secs_f64() * 1e6 / self.rows as f64
    }

    pub(crate) fn server_us(&self) -> f64 {
        self.server.as_secs_f64() * 1e6 / self.rows as f64
    }

    pub(crate) fn cpu_us(&self) -> f64 {
        self.client_us() + self.server_us()
    }

    pub(crate) fn wal_bytes(&self) -> f64 {
        self.wal as f64 / self.rows as f64
    }
}
