//! Measures the times of the hot paths: `cargo bench --locked -p benchmarks`.

#![allow(missing_docs, clippy::unwrap_used)]

use benchmarks::{Sample, Work};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn hot_paths(criterion: &mut Criterion) {
    let sample = Sample::new().unwrap();
    for work in Work::ALL {
        let amount = sample.work(work).unwrap();
        let mut group = criterion.benchmark_group(work.name());
        // The time is the same; the throughput is reported in both units.
        for (unit, throughput) in
            [("bytes", Throughput::Bytes(amount.bytes)), ("rows", Throughput::Elements(amount.rows))]
        {
            group.throughput(throughput).bench_function(unit, |bencher| bencher.iter(|| sample.work(work).unwrap()));
        }
        group.finish();
    }
}

criterion_group!(benches, hot_paths);
criterion_main!(benches);
