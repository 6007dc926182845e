//! Conditional reads and writes, the base of compare-and-swap.

use crate::{Target, refusal};
use aws_sdk_s3::primitives::ByteStream;
use futures::future::join_all;

/// How many writers race, and how often: the races must hit a window of microseconds between read and write.
const RACES: [(usize, usize); 2] = [(8, 40), (32, 10)];

/// The number of writers and the number of the round.
fn races() -> impl Iterator<Item = (usize, usize)> {
    RACES.into_iter().flat_map(|(writers, rounds)| (0..rounds).map(move |round| (writers, round)))
}

/// All writers name the same version, at the same time.
pub async fn one_of_many_if_match_writers_wins(target: &Target) {
    for (writers, _) in races() {
        let seen = target.put("key", "seen by all").await.e_tag.unwrap();
        let races = (0..writers).map(|number| {
            let put = target.s3.put_object().bucket(&target.bucket).key("key").if_match(&seen);
            tokio::spawn(put.body(ByteStream::from(format!("writer {number}").into_bytes())).send())
        });
        let results: Vec<_> = join_all(races).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "of {writers} writers");
        let winner = results.iter().position(Result::is_ok).unwrap();
        assert_eq!(target.get("key").await, format!("writer {winner}").into_bytes());
        for (number, result) in results.into_iter().enumerate().filter(|(number, _)| *number != winner) {
            let (status, code) = refusal!(result);
            // S3 may also answer 409 if another request won.
            assert!([409, 412].contains(&status), "writer {number} of {writers}: {status} {code:?}");
        }
    }
}

pub async fn one_of_many_if_none_match_writers_wins(target: &Target) {
    for (writers, round) in races() {
        let key = format!("new {round} of {writers}");
        let races = (0..writers).map(|number| {
            let put = target.s3.put_object().bucket(&target.bucket).key(&key).if_none_match("*");
            tokio::spawn(put.body(ByteStream::from(format!("writer {number}").into_bytes())).send())
        });
        let results: Vec<_> = join_all(races).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        let winner = results.iter().position(Result::is_ok).unwrap();
        assert_eq!(target.get(&key).await, format!("writer {winner}").into_bytes());
    }
}

pub async fn a_stale_if_match_is_412(target: &Target) {
    let stale = target.put("key", "old").await.e_tag.unwrap();
    target.put("key", "new").await;
    let put = target.s3.put_object().bucket(&target.bucket).key("key").if_match(stale);
    assert_eq!(refusal!(put.send().await), (412, Some("PreconditionFailed".into())));
    assert_eq!(target.get("key").await, b"new");
}

pub async fn an_if_match_on_a_missing_key_is_404(target: &Target) {
    let put =
        target.s3.put_object().bucket(&target.bucket).key("none").if_match("\"5d41402abc4b2a76b9719d911017c592\"");
    assert_eq!(refusal!(put.send().await), (404, Some("NoSuchKey".into())));
}

pub async fn an_if_none_match_on_an_existing_key_is_412(target: &Target) {
    target.put("key", "first").await;
    let put = target.s3.put_object().bucket(&target.bucket).key("key").if_none_match("*");
    assert_eq!(refusal!(put.send().await), (412, Some("PreconditionFailed".into())));
    assert_eq!(target.get("key").await, b"first");
}

pub async fn a_get_of_a_known_version_is_304(target: &Target) {
    let known = target.put("key", "known").await.e_tag.unwrap();
    let get = target.s3.get_object().bucket(&target.bucket).key("key").if_none_match(known);
    // The SDK treats 304 as an error, without a code.
    assert_eq!(refusal!(get.clone().send().await), (304, None));
    target.put("key", "changed").await;
    assert_eq!(get.send().await.unwrap().body.collect().await.unwrap().to_vec(), b"changed");
}

pub async fn a_head_of_a_known_version_is_304(target: &Target) {
    let known = target.put("key", "known").await.e_tag.unwrap();
    let head = target.s3.head_object().bucket(&target.bucket).key("key").if_none_match(known);
    assert_eq!(refusal!(head.send().await).0, 304);
}

pub async fn a_get_of_another_version_is_412(target: &Target) {
    let stale = target.put("key", "old").await.e_tag.unwrap();
    let get = target.s3.get_object().bucket(&target.bucket).key("key").if_match(stale);
    assert_eq!(get.clone().send().await.unwrap().body.collect().await.unwrap().to_vec(), b"old");
    target.put("key", "new").await;
    assert_eq!(refusal!(get.send().await), (412, Some("PreconditionFailed".into())));
}
