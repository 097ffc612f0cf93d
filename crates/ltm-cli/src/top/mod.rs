//! `ltm top`: what the services do now, as a table that is renewed.

mod look;
mod scrape;
mod table;

use std::time::Duration;

use futures_util::future::join_all;
use ltm_client::{Client, ServerUrl};
use ltm_types::now;
use tokio::time::sleep;

use crate::{
    client,
    commands::wait::time,
    error::Error,
    terminal::{Output, Screen, retry_note},
};
use look::{Activity, Look, Service};
use scrape::Scrape;

/// The arguments of `ltm top`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The URL of a service whose metrics to show; once for each API and gateway [default: the URL of --url]
    #[arg(long, value_name = "URL")]
    metrics: Vec<ServerUrl>,
    /// The time between two looks: 2s, 500ms
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = interval)]
    interval: Duration,
}

/// The shortest time between two looks.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

fn interval(text: &str) -> Result<Duration, String> {
    let interval = time(text).map_err(|e| e.to_string())?;
    match interval < MIN_INTERVAL {
        true => Err("use at least 100ms".into()),
        false => Ok(interval),
    }
}

/// Shows the table until Ctrl-C; if the output is no terminal, prints it once.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let mut top = Top::new(client, args)?;
    if output.redraws() {
        return Screen::run(async |screen| top.watch(screen, output).await).await;
    }
    top.look().await?;
    sleep(args.interval).await;
    let look = top.look().await?;
    if output.json() {
        let line = serde_json::to_string(&look).map_err(|e| Error::Answered(e.to_string()))?;
        return output.json_line(&line);
    }
    output.line(&table::text(&look, output))
}

struct Top<'a> {
    client: &'a Client,
    interval: Duration,
    services: Vec<Watched>,
}

/// A service, and the metrics that it had at the look before.
struct Watched {
    client: Client,
    before: Option<Scrape>,
}

impl<'a> Top<'a> {
    fn new(client: &'a Client, args: &Args) -> Result<Self, Error> {
        let urls = match args.metrics.as_slice() {
            [] => std::slice::from_ref(client.server()),
            urls => urls,
        };
        // Metrics need no token.
        let watched = |url: &ServerUrl| {
            client::build(url.clone(), None).map(|client| Watched {
                client,
                before: None,
            })
        };
        Ok(Self {
            client,
            interval: args.interval,
            services: urls.iter().map(watched).collect::<Result<_, _>>()?,
        })
    }

    async fn watch(&mut self, screen: &mut Screen, output: Output) -> Result<(), Error> {
        loop {
            match self.look().await {
                Ok(look) => screen.show(table::text(&look, output))?,
                Err(Error::Client(error)) if error.is_temporary() => {
                    screen.note(&retry_note(&error))?;
                }
                Err(error) => return Err(error),
            }
            sleep(self.interval).await;
        }
    }

    async fn look(&mut self) -> Result<Look, Error> {
        let counts = |playground| self.client.counts(playground);
        let services = join_all(self.services.iter_mut().map(Watched::look));
        let (ltms, playground, services) = tokio::join!(counts(false), counts(true), services);
        let (ltms, playground) = (ltms?, playground?);
        Ok(Look {
            time: now(),
            ltms: ltms.numbers.read()?,
            playground: playground.numbers.read()?,
            incomplete: ltms.is_incomplete || playground.is_incomplete,
            services,
        })
    }
}

impl Watched {
    async fn look(&mut self) -> Service {
        let scraped = self.client.metrics().await;
        let scraped = scraped.map(|text| Scrape::read(&text));
        let (activity, error) = match scraped {
            Ok(scrape) if scrape.value("ltm_build_info").is_none() => {
                (Activity::default(), Some("no metrics of ltm-live".into()))
            }
            Ok(scrape) => {
                let activity = Activity::between(self.before.as_ref(), &scrape);
                self.before = Some(scrape);
                (activity, None)
            }
            Err(error) => (Activity::default(), Some(error.to_string())),
        };
        Service {
            url: self.client.server().to_string(),
            activity,
            error,
        }
    }
}
