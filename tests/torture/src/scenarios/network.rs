//! The network loses things.

use anyhow::Result;
use tokio::time::sleep;

use crate::{
    cluster::Setup,
    experiment::{Context, Report, Scenario, Verdict, under_load},
    load::Habits,
};

pub(super) const ALL: &[Scenario] = &[Scenario {
    name: "answers-cut",
    what: "10 % of the answers to publish, claim and finish are cut off after the commit",
    passes: "safe, at least 1 % of the operations unknown",
    in_ci: true,
    run: |context| Box::pin(answers_cut(context)),
}];

async fn answers_cut(context: Context) -> Result<Report> {
    let lasts = context.chaos(12, 300);
    let setup = Setup { in_front: true, ..Setup::default() };
    under_load(context, setup, Habits::default(), lasts, async |cluster, _, lasts| {
        let proxies = || cluster.places.iter().filter_map(|place| place.in_front.as_ref());
        proxies().for_each(|proxy| proxy.cut(0.1));
        sleep(lasts).await;
        proxies().for_each(|proxy| proxy.cut(0.0));
        let cuts: usize = proxies().map(crate::proxy::Proxy::cuts).sum();
        Ok(Verdict::of(format!("{cuts} answers cut"), cuts > 20))
    })
    .await
}
