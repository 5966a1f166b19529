//! Long replies and long bodies.

use super::*;
use crate::SendError;
use crate::unit::REPLY_FRAMES;

#[tokio::test(start_paused = true)]
async fn a_reply_of_many_frames_arrives_in_order() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    let mut exchange = world.submit("unit");
    let work = hand.started();
    let header = Header::new(Flags::RAW, Bits::STREAM, &[4, work.sequence, 1], 0);
    assert!(hand.send(header, [b"head", b"body"]));
    let (context, body) = (Bytes::from_static(b"head"), Bytes::from_static(b"body"));
    assert_eq!(
        poll(&mut exchange),
        Some(Some(Ok(ReplyFrame { codec: Flags::RAW, context, body, more: true })))
    );
    assert!(pending(&mut exchange));
    assert!(hand.stream(work.sequence, "a"));
    hand.reply(work.sequence, "b");
    assert_eq!(answered(&mut exchange), Ok("ab".to_owned()));
    assert_eq!(world.state(1), Some(State::Ready));
}

#[tokio::test(start_paused = true)]
async fn frames_that_nobody_reads_stay_in_the_ring_and_reading_resumes() {
    let world = World::new(Limits::default(), Boot::Hello, 4);
    world.pool.start().await.expect("starts");
    let hand = world.hand(1);
    let mut exchange = world.submit("unit");
    let work = hand.started();
    let mut sent = 0;
    while hand.stream(work.sequence, &sent.to_string()) {
        sent += 1;
        assert!(exchange.unit.state.lock().frames.len() <= REPLY_FRAMES);
        assert!(sent < 100, "a worker is slowed down by its client");
    }
    assert_eq!(sent, REPLY_FRAMES + 4);
    for expected in 0..sent {
        let Some(Some(Ok(frame))) = poll(&mut exchange) else { panic!("frame {expected} is there") };
        assert_eq!(frame.body, expected.to_string());
        assert!(exchange.unit.state.lock().frames.len() <= REPLY_FRAMES);
    }
    assert!(pending(&mut exchange));
    hand.reply(work.sequence, "last");
    assert_eq!(answered(&mut exchange), Ok("last".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_reader_is_woken() {
    let world = World::with(1).await;
    let mut exchange = world.submit("unit");
    let reader = tokio::spawn(async move { exchange.next().await });
    settle().await;
    assert!(!reader.is_finished());
    assert!(world.hand(1).serve());
    settle().await;
    assert!(reader.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_body_is_sent_in_pieces_that_fit() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    let mut exchange = world.submit_open("upload");
    let work = hand.started();
    assert!(work.more);
    let sender = exchange.body_sender();
    let whole: Vec<u8> = (0..5000_u32).map(|byte| byte.to_le_bytes()[0]).collect();
    assert_eq!(sender.send(Bytes::from(whole.clone())).now_or_never(), Some(Ok(())));
    assert_eq!(sender.finish().now_or_never(), Some(Ok(())));
    let mut read = Vec::new();
    loop {
        match hand.part(work.sequence).expect("a part") {
            Part::More(bytes) => {
                assert!(bytes.len() <= world.pool.piece());
                read.extend(bytes);
            }
            Part::Last(bytes) => break read.extend(bytes),
            Part::Aborted => panic!("nobody aborted"),
        }
    }
    assert!(read == whole);
    hand.reply(work.sequence, "thanks");
    assert_eq!(answered(&mut exchange), Ok("thanks".to_owned()));
    assert_eq!(sender.send(Bytes::from_static(b"late")).now_or_never(), Some(Err(SendError)));
}

#[tokio::test(start_paused = true)]
async fn a_body_waits_for_a_worker_and_for_room() {
    let world = World::new(Limits::default(), Boot::Hello, 2);
    world.pool.start().await.expect("starts");
    let hand = world.hand(1);
    let (mut first, mut upload) = (world.submit("first"), world.submit_open("upload"));
    let sender = upload.body_sender();
    let client = tokio::spawn(async move {
        for part in ["a", "b", "c", "d", "e"] {
            sender.send(Bytes::from_static(part.as_bytes())).await?;
        }
        sender.finish().await
    });
    settle().await;
    assert!(hand.serve() && answered(&mut first).is_ok());
    settle().await;
    let work = hand.started();
    let mut body = Vec::new();
    while !matches!(body.last(), Some(Part::Last(_))) {
        settle().await;
        body.push(hand.part(work.sequence).expect("a part"));
    }
    assert_eq!(done(client).await, Ok(()));
    let text: Vec<_> = ["a", "b", "c", "d", "e"].map(|part| Part::More(part.into())).into();
    assert_eq!((&body[..5], &body[5]), (&text[..], &Part::Last(Vec::new())));
    hand.reply(work.sequence, "");
    assert!(answered(&mut upload).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_inside_its_body_aborts_it() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    let exchange = world.submit_open("upload");
    let work = hand.started();
    assert_eq!(exchange.body_sender().abort().now_or_never(), Some(Ok(())));
    assert_eq!(hand.part(work.sequence), Some(Part::Aborted));
    drop(exchange);
    hand.reply(work.sequence, "");
    assert_eq!(world.state(1), Some(State::Ready));
}

#[tokio::test(start_paused = true)]
async fn an_early_reply_ends_the_body() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    let mut exchange = world.submit_open("upload");
    let sender = exchange.body_sender();
    let client = tokio::spawn(async move {
        loop {
            sender.send(Bytes::from_static(b"part")).await?;
        }
        #[expect(unreachable_code, reason = "names the type")]
        Ok::<(), SendError>(())
    });
    let work = hand.started();
    settle().await;
    hand.reply(work.sequence, "too large");
    settle().await;
    assert_eq!(done(client).await, Err(SendError));
    assert_eq!(answered(&mut exchange), Ok("too large".to_owned()));
    let mut next = world.submit("next");
    assert!(hand.serve(), "the rest of the body is skipped");
    assert_eq!(answered(&mut next), Ok("next".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_behind_a_body_that_is_open() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    world.warm(&hand);
    let (mut upload, mut next) = (world.submit_open("upload"), world.submit("next"));
    assert_eq!((world.info(1).map(|worker| worker.held), world.pool.queue_len()), (Some(1), 1));
    let work = hand.started();
    assert_eq!(upload.body_sender().finish().now_or_never(), Some(Ok(())));
    assert_eq!(hand.part(work.sequence), Some(Part::Last(Vec::new())));
    hand.reply(work.sequence, "");
    assert!(hand.serve() && answered(&mut upload).is_ok() && answered(&mut next).is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_body_of_a_unit_behind_another_waits_so_that_the_unit_can_be_given_away() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    world.warm(&hand);
    let (mut runs, mut upload) = (world.submit("runs"), world.submit_open("upload"));
    assert_eq!(world.info(1).map(|worker| worker.held), Some(2));
    let sender = upload.body_sender();
    let client = tokio::spawn(async move {
        sender.send(Bytes::from_static(b"part")).await?;
        sender.finish().await
    });
    let _ = hand.started();
    settle().await;
    hand.exit("exit code 255");
    settle().await;
    assert!(answered(&mut runs).is_err() && pending(&mut upload));
    let next = world.hand(2);
    let work = next.started();
    settle().await;
    assert_eq!(next.part(work.sequence), Some(Part::More(b"part".to_vec())), "no part is lost");
    assert_eq!(next.part(work.sequence), Some(Part::Last(Vec::new())));
    assert_eq!(done(client).await, Ok(()));
    next.reply(work.sequence, "stored");
    assert_eq!(answered(&mut upload), Ok("stored".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_body_of_a_unit_flows_when_the_one_before_it_is_done() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    world.warm(&hand);
    let (mut runs, upload) = (world.submit("runs"), world.submit_open("upload"));
    let sender = upload.body_sender();
    let client = tokio::spawn(async move { sender.finish().await });
    settle().await;
    assert!(hand.serve() && answered(&mut runs).is_ok());
    let work = hand.started();
    settle().await;
    assert_eq!(done(client).await, Ok(()));
    assert_eq!(hand.part(work.sequence), Some(Part::Last(Vec::new())));
}

#[tokio::test(start_paused = true)]
async fn the_body_of_a_unit_flows_when_the_one_before_it_is_cancelled() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    world.warm(&hand);
    let (gone, upload) = (world.submit("gone"), world.submit_open("upload"));
    let sender = upload.body_sender();
    let client = tokio::spawn(async move { sender.finish().await });
    settle().await;
    assert!(!client.is_finished());
    drop(gone);
    settle().await;
    assert!(client.is_finished(), "nobody else would wake it");
    let work = hand.started();
    assert_eq!((&*work.context, hand.part(work.sequence)), ("upload", Some(Part::Last(Vec::new()))));
}

#[tokio::test(start_paused = true)]
async fn a_unit_whose_body_went_to_a_dead_worker_fails_even_if_it_was_not_started() {
    let world = World::with(1).await;
    let mut upload = world.submit_open("upload");
    let sender = upload.body_sender();
    assert_eq!(sender.send(Bytes::from_static(b"part")).now_or_never(), Some(Ok(())));
    world.hand(1).exit("exit code 255");
    settle().await;
    assert!(matches!(answered(&mut upload), Err(ExecError::WorkerDied(_))), "half a body helps nobody");
    assert_eq!(sender.finish().now_or_never(), Some(Err(SendError)));
}
