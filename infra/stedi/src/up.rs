//! The same stack, staying up: any S3 client's upload starts the cascade.

use crate::accounts::Accounts;
use crate::address;
use crate::args::Up;
use crate::athena;
use crate::report::print;
use crate::stack::Stack;
use crate::tables;
use emulator::{Access, Dispatcher, Options, Progress};
use model::lake_config::LakeConfig;
use model::layout::ObjectLocation;
use std::io::{self, ErrorKind, Write};
use std::net::Ipv4Addr;
use store::BoxError;
use store::connect::AccessKey;
use store::lake::DATABASE;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};

/// What requests are signed with. It guards against nobody on this machine: it tells clients apart that are set up for
/// another endpoint.
pub(crate) fn access_key() -> AccessKey {
    AccessKey { id: "test".into(), secret: "test".into() }
}

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
enum PortError {
    #[error(
        "port {0} is taken, perhaps by another `stedi up`: stop what uses it, or give another with --port (0 for any \
         that is free)"
    )]
    Taken(u16),
    #[error("cannot listen on port {0}; give another with --port (0 for any that is free)")]
    Other(u16, #[source] io::Error),
}

/// Runs `stedi up`.
pub(crate) async fn up(args: Up) -> Result<(), BoxError> {
    let mut interruption = Interruption::new()?;
    // As a JVM tells its threads: by a key in the foreground, by `kill -QUIT` in the background.
    let mut demand = signal(SignalKind::quit())?;
    // First, so that a command that cannot go on leaves nothing behind.
    let listener = listen(args.port).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let stack = Stack::open(&args.made.at, args.made.config())?;
    stack.make().await?;
    let athena = athena::Served::begin(&stack).await?;
    let mut accounts = Accounts::new(&stack);
    // Before the first request, so that no upload goes unnoticed, and what is owed comes first.
    let dispatcher = if args.no_functions { None } else { Some(stack.start(Options::default())?) };
    let (stop, stopped) = oneshot::channel::<()>();
    let cloud = stack.cloud.clone();
    let AccessKey { id, secret } = access_key();
    let access = Access::Signed { id, secret };
    let mut server = tokio::spawn(async move { cloud.serve(listener, access, async { drop(stopped.await) }).await });
    address::leave(&args.made.at.lake, &url)?;
    print(&environment(&url, &stack))?;
    print(match args.no_functions {
        true => "# Uploads wake no function. Ctrl-\\ shows the tables, Ctrl-C ends this.",
        false => {
            "# What lands below customer/landing/ and its like goes through. Ctrl-\\ shows the tables, Ctrl-C ends this."
        }
    })?;

    let mut letters_told = 0;
    let mut progress = dispatcher.as_ref().map(Dispatcher::progress);
    loop {
        tokio::select! {
            () = interruption.next() => break,
            _ = demand.recv() => told(tables::print_all(&stack.lake, &stack.clients).await),
            // Only if it can accept no connections any more.
            served = &mut server => return Ok(served??),
            Some(stored) = accounts.stored.recv() => told(accounts.hear(stored).await),
            Some(now) = changed(&mut progress) => {
                if let Some(dispatcher) = &dispatcher && now.dead_letters > letters_told {
                    letters_told = tell_letters(&stack, dispatcher, letters_told, &mut accounts);
                }
                if now.pending == 0 {
                    let is_quiet = || progress.as_ref().is_some_and(|progress| progress.borrow().pending == 0);
                    told(accounts.settle(is_quiet).await);
                }
            }
        }
    }
    // From now on nobody else need come.
    told(address::take_away(&args.made.at.lake).map_err(Into::into));
    tell("stopping; what is under way is finished first, Ctrl-C once more breaks it off");
    let finish = async {
        athena.stop().await;
        // Writers before the dispatcher: what is put behind its back functions nobody.
        let _ = stop.send(());
        server.await??;
        if let Some(dispatcher) = dispatcher {
            dispatcher.stop().await;
        }
        accounts.hear_all().await
    };
    tokio::select! {
        finished = finish => told(finished),
        // What is broken off is owed, as after a kill.
        () = interruption.next() => {}
    }
    let now = progress.map(|progress| *progress.borrow()).unwrap_or_default();
    let owed = now.pending + now.dead_letters;
    if owed > 0 {
        tell(&format!("{owed} deliveries are left; the next `stedi up` or `stedi run` of this lake delivers them"));
    }
    Ok(())
}

async fn listen(port: u16) -> Result<TcpListener, PortError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => PortError::Taken(port),
        _ => PortError::Other(port, error),
    })
}

/// What a client, or a function that runs elsewhere, has to know, as lines for a shell.
fn environment(url: &str, stack: &Stack) -> String {
    let LakeConfig { customer_shards, consent_policy } = stack.lake.config();
    let bucket = stack.lake.bucket();
    let (region, AccessKey { id, secret }) = (emulator::REGION, access_key());
    format!(
        "# {} are up. Paste this into the shell of whoever uses them:\n\
         export AWS_ENDPOINT_URL={url}\n\
         export AWS_ACCESS_KEY_ID={id}\n\
         export AWS_SECRET_ACCESS_KEY={secret}\n\
         export AWS_REGION={region}\n\
         export AWS_DEFAULT_REGION={region}\n\
         export LAKE_BUCKET={bucket}\n\
         export GLUE_DATABASE={DATABASE}\n\
         export CONSENT_POLICY={consent_policy}\n\
         export CUSTOMER_SHARDS={}{}",
        athena::Served::SERVICES,
        customer_shards.get(),
        athena::Served::ENVIRONMENT,
    )
}

/// The dispatcher's counters, when they have changed; never, if there is none.
async fn changed(progress: &mut Option<watch::Receiver<Progress>>) -> Option<Progress> {
    let progress = progress.as_mut()?;
    progress.changed().await.ok()?;
    Some(*progress.borrow_and_update())
}

/// Tells what could not be handled since the last time; how many there are now.
fn tell_letters(stack: &Stack, dispatcher: &Dispatcher, told: usize, accounts: &mut Accounts) -> usize {
    let letters = dispatcher.report().dead_letters;
    let count = letters.len();
    for letter in letters.into_iter().skip(told) {
        accounts.forget(&ObjectLocation { bucket: letter.bucket.clone(), key: letter.key.clone() });
        tell(&format!("failed: {}; it is tried again at the next start", stack.told(letter)));
    }
    count
}

/// A receipt that cannot be read, put there by whomever, is no reason to serve no more.
fn told(result: Result<(), BoxError>) {
    if let Err(error) = result {
        tell(&store::with_causes(error.as_ref()));
    }
}

/// Tells what is not about a landing file, on standard error. Nobody may listen there.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "stedi: {text}");
}

/// Ctrl-C, or what a service manager or `kill` sends.
struct Interruption {
    interrupt: Signal,
    terminate: Signal,
}

impl Interruption {
    /// From here on, neither ends the process by itself.
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
