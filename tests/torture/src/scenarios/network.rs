//! The network loses things.

use anyhow::Result;
use rand::RngExt;
use tokio::time::sleep;

use crate::{
    cluster::Setup,
    experiment::{Context, Report, Scenario, Verdict, under_load},
    load::Habits,
    proxy::{Link, Proxy},
};

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "answers-cut",
        what: "10 % of all answers of the bus are cut off, after what they answer was done",
        passes: "safe, and more than 20 answers were cut",
        in_ci: true,
        run: |context| Box::pin(answers_cut(context)),
    },
    Scenario {
        name: "cut-from-postgres",
        what: "a replica is cut off from Postgres, first on the way there, then on the way back, 8 s each (long: 30 s)",
        passes: "safe, and at least one operation had no answer",
        in_ci: false,
        run: |context| Box::pin(cut_from_postgres(context)),
    },
];

async fn answers_cut(context: Context) -> Result<Report> {
    let lasts = context.chaos(12, 300);
    let setup = Setup { in_front: true, ..Setup::default() };
    under_load(context, setup, Habits::default(), lasts, async |cluster, _, lasts| {
        let proxies = || cluster.places.iter().filter_map(|place| place.in_front.as_ref());
        proxies().for_each(|proxy| proxy.cut(0.1));
        sleep(lasts).await;
        proxies().for_each(|proxy| proxy.cut(0.0));
        let cuts: usize = proxies().map(Proxy::cuts).sum();
        Ok(Verdict::of(format!("{cuts} answers cut"), cuts > 20))
    })
    .await
}

async fn cut_from_postgres(context: Context) -> Result<Report> {
    let lasts = context.chaos(8, 30);
    let setup = Setup { between: true, ..Setup::default() };
    let report = under_load(context, setup, Habits::default(), lasts, async |cluster, random, lasts| {
        let mut closed = 0;
        for link in [Link::DeafServer, Link::DeafClient] {
            let number = random.random_range(0..cluster.places.len());
            let Some(proxy) = &cluster.places[number].between else { continue };
            proxy.set(link);
            sleep(lasts).await;
            // What was on its way arrives late, or never.
            if random.random_bool(0.5) {
                proxy.close();
                closed += 1;
            }
            proxy.set(Link::Up);
        }
        Ok(Verdict::told(format!(
            "2 cuts of {} s, after {closed} of them all was lost that was on its way",
            lasts.as_secs()
        )))
    });
    let mut report = report.await?;
    report.verdict.holds &= report.findings.as_ref().is_some_and(|found| found.figures.unknown > 0);
    Ok(report)
}
