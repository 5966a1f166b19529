//! The loop of a listener whose connections are tasks of their own.

use crate::stream::{Acceptor, Stream};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Accepts until `stop`, at most `limit` connections at a time (more wait in the backlog), and has `serve` serve each in a
/// task. Gives the tasks that are left. `logger` names whose listener it is.
pub async fn serve_each<S: Future<Output = ()> + Send + 'static>(
    acceptor: &Acceptor,
    logger: &'static str,
    limit: usize,
    stop: impl Future<Output = ()>,
    serve: impl Fn(Stream, Option<SocketAddr>) -> S,
) -> JoinSet<()> {
    let mut stop = pin!(stop);
    let places = Arc::new(Semaphore::new(limit));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((acceptor.accept().await?, place))
        };
        tokio::select! {
            () = &mut stop => return connections,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = accepted => match accepted {
                Ok(((stream, peer), place)) => {
                    let serving = serve(stream, peer);
                    connections.spawn(async move {
                        serving.await;
                        drop(place);
                    });
                }
                // The client was gone before it was taken.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::error!(logger, "no connection can be accepted: {error}; trying again in 100 ms");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}
