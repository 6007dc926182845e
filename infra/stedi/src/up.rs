//! The same stack, served until Ctrl-C: an upload of any S3 client triggers the functions.

use crate::args::Up;
use crate::athena;
use crate::hash_key;
use crate::holder::Holder;
use crate::outcomes::Outcomes;
use crate::stack::Stack;
use crate::tables;
use crate::terminal::{message, print};
use emulator::{Access, Dispatcher, Options, Progress};
use model::lake_config::LakeConfig;
use model::layout::ObjectLocation;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::path::Path;
use store::BoxError;
use store::connect::AccessKey;
use store::lake::DATABASE;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};

/// The key that requests are signed with. It is not a secret: it keeps apart clients that are set up for another
/// endpoint.
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
pub(crate) async fn up(args: Up, quiet: bool) -> Result<(), BoxError> {
    let mut interruption = Interruption::new()?;
    // As for a JVM: Ctrl-\ in the foreground, `kill -QUIT` in the background.
    let mut show_tables = signal(SignalKind::quit())?;
    // First, so that a command that cannot go on leaves nothing behind.
    let listener = listen(args.port).await?;
    let address = listener.local_addr()?;
    let stack = Stack::open_to_write(&args.write, "stedi up")?;
    stack.make().await?;
    let athena = athena::Served::begin(&stack).await?;
    let mut outcomes = Outcomes::new(&stack, quiet);
    // Before the first request, so that no upload is missed and events of earlier runs are delivered first.
    let dispatcher = if args.no_functions { None } else { Some(stack.start(Options::default())?) };
    let (stop, stopped) = oneshot::channel::<()>();
    let cloud = stack.cloud.clone();
    let AccessKey { id, secret } = access_key();
    let access = Access::Signed { id, secret };
    let mut server = tokio::spawn(async move { cloud.serve(listener, access, async { drop(stopped.await) }).await });
    let holder = Holder { port: Some(address.port()), ..Holder::this("stedi up") };
    holder.write(&args.write.lake.lake)?;
    let hash_key = std::path::absolute(hash_key::file(&args.write.lake))?;
    print(&environment(&format!("http://{address}"), &stack, &hash_key))?;
    print(match args.no_functions {
        true => "# Uploads trigger no function. Ctrl-\\ shows the tables, Ctrl-C ends this.",
        false => {
            "# Upload landing files below customer/landing/ and so on. Ctrl-\\ shows the tables, Ctrl-C ends this."
        }
    })?;

    let mut letters_reported = 0;
    let mut progress = dispatcher.as_ref().map(Dispatcher::progress);
    loop {
        tokio::select! {
            () = interruption.next() => break,
            _ = show_tables.recv() => report(tables::print_all(&args.write.lake, &stack.lake, &stack.clients).await),
            // It ends only if it can accept no more connections.
            served = &mut server => return Ok(served??),
            Some(stored) = outcomes.stored.recv() => report(outcomes.add(stored).await),
            Some(now) = changed(&mut progress) => {
                if let Some(dispatcher) = &dispatcher && now.dead_letters > letters_reported {
                    letters_reported = report_letters(&stack, dispatcher, letters_reported, &mut outcomes);
                }
                if now.pending == 0 {
                    let is_quiet = || progress.as_ref().is_some_and(|progress| progress.borrow().pending == 0);
                    report(outcomes.finish_unchanged(is_quiet).await);
                }
            }
        }
    }
    // Readers of the lake do not connect to a server that ends.
    report(Holder::this("stedi up").write(&args.write.lake.lake).map_err(Into::into));
    message("stopping; what is under way is finished first, Ctrl-C once more breaks it off");
    let finish = async {
        athena.stop().await;
        // Writers before the dispatcher: it delivers no event of a later put.
        let _ = stop.send(());
        server.await??;
        if let Some(dispatcher) = dispatcher {
            dispatcher.stop().await;
        }
        outcomes.add_stored().await
    };
    tokio::select! {
        finished = finish => report(finished),
        // As after a kill: the events are saved.
        () = interruption.next() => {}
    }
    let now = progress.map(|progress| *progress.borrow()).unwrap_or_default();
    let undelivered = now.pending + now.dead_letters;
    if undelivered > 0 {
        message(&format!(
            "{undelivered} deliveries are left; the next `stedi up` or `stedi run` of this lake makes them"
        ));
    }
    Ok(())
}

async fn listen(port: u16) -> Result<TcpListener, PortError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => PortError::Taken(port),
        _ => PortError::Other(port, error),
    })
}

/// Returns the environment of a client, or of a function that runs elsewhere, as lines for a shell.
fn environment(url: &str, stack: &Stack, hash_key: &Path) -> String {
    let LakeConfig { customer_shards, consent_policy, pairs, slices_per_hour } = stack.lake.config();
    let bucket = stack.lake.bucket();
    let (region, AccessKey { id, secret }) = (emulator::REGION, access_key());
    format!(
        "# {} are up. Paste this into the shell of their clients:\n\
         export AWS_ENDPOINT_URL={url}\n\
         export AWS_ACCESS_KEY_ID={id}\n\
         export AWS_SECRET_ACCESS_KEY={secret}\n\
         export AWS_REGION={region}\n\
         export AWS_DEFAULT_REGION={region}\n\
         export LAKE_BUCKET={bucket}\n\
         export HASH_KEY=\"$(cat {})\"\n\
         export GLUE_DATABASE={DATABASE}\n\
         export CONSENT_POLICY={consent_policy}\n\
         export PAIRS={pairs}\n\
         export SLICES_PER_HOUR={slices_per_hour}\n\
         export CUSTOMER_SHARDS={customer_shards}{}",
        athena::SERVICES,
        shlex::try_quote(&hash_key.to_string_lossy()).unwrap_or_default(),
        athena::ENVIRONMENT,
    )
}

/// Returns the dispatcher's counters when they have changed; never, if there is none.
async fn changed(progress: &mut Option<watch::Receiver<Progress>>) -> Option<Progress> {
    let progress = progress.as_mut()?;
    progress.changed().await.ok()?;
    Some(*progress.borrow_and_update())
}

/// Reports the dead letters after the first `reported`; returns how many there are now.
fn report_letters(stack: &Stack, dispatcher: &Dispatcher, reported: usize, outcomes: &mut Outcomes) -> usize {
    let letters = dispatcher.report().dead_letters;
    let count = letters.len();
    for letter in letters.into_iter().skip(reported) {
        outcomes.forget(&ObjectLocation { bucket: letter.bucket.clone(), key: letter.key.clone() });
        message(&format!("failed: {}; the next start tries it again", stack.describe(letter)));
    }
    count
}

/// Reports an error and goes on: one unreadable receipt does not end the server.
fn report(result: Result<(), BoxError>) {
    if let Err(error) = result {
        message(&store::with_causes(error.as_ref()));
    }
}

/// Ctrl-C, or the signal of a service manager or of `kill`.
struct Interruption {
    interrupt: Signal,
    terminate: Signal,
}

impl Interruption {
    /// Takes both signals, so that neither ends the process at once.
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
