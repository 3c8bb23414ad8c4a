//! The fake of ODK Central as a process, which tells its address and, for each line that it reads, how many requests came.

use std::io::BufRead as _;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use tributary_tests::odk::{Odk, survey};

use crate::Failure;

/// Serves so many submissions with so many persons each, until standard input ends.
pub(crate) fn serve(submissions: usize, persons: usize) -> Result<(), Failure> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let odk = Arc::new(Odk::start().await);
            survey::many(&mut odk.world(), submissions, persons);
            // The receiver waits for just this.
            let _ = send.send(odk);
            std::future::pending::<()>().await;
        });
    });
    let odk = receive.recv()?;
    println!("{}", odk.url());
    for line in std::io::stdin().lock().lines() {
        line?;
        println!("{}", odk.count());
    }
    Ok(())
}
