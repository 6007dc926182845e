//! What the hot paths take: `cargo bench --locked -p benchmarks`.

#![allow(missing_docs, clippy::unwrap_used)]

use benchmarks::{Sample, Work};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn hot_paths(criterion: &mut Criterion) {
    let sample = Sample::new().unwrap();
    for work in Work::ALL {
        let done = sample.work(work).unwrap();
        let mut group = criterion.benchmark_group(work.name());
        // Both are told: the time is the same.
        for (unit, throughput) in [("bytes", Throughput::Bytes(done.bytes)), ("rows", Throughput::Elements(done.rows))]
        {
            group.throughput(throughput).bench_function(unit, |bencher| bencher.iter(|| sample.work(work).unwrap()));
        }
        group.finish();
    }
}

criterion_group!(benches, hot_paths);
criterion_main!(benches);
