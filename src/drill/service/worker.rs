//! `helpdesk-worker`: the application; its sign of life is django.log.

use std::io;
use std::time::Duration;

use chrono::Utc;

use crate::drill::dice::Dice;
use crate::drill::fault::Fault;
use crate::drill::logs;
use crate::drill::setup::Setup;

const PACE: Duration = Duration::from_millis(200);

pub(super) async fn run(setup: &Setup) -> io::Result<()> {
    super::say_ready("working")?;
    let mut dice = Dice::new(u64::from(std::process::id()));
    let mut pace = tokio::time::interval(PACE);
    loop {
        pace.tick().await;
        if !setup.has(Fault::LogMissing) {
            let at = Utc::now().with_timezone(&setup.timezone);
            logs::append(&setup.django_log(), &logs::harmless(at, &mut dice))?;
        }
    }
}
