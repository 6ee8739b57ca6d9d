//! Reading and encoding side by side.
//!
//! Decoding a file keeps one core busy and waits for disks and other processes; encoding keeps all
//! of them busy and waits for nobody. So they are stages: some *readers*, each with a file in hand;
//! one *encoder*, with a batch in hand and one waiting; and the caller, who hands out files, forms
//! batches of what was read, and keeps what was made, while the others go on.
//!
//! Every queue is short. A file is handed out only while fewer than two batches are at the encoder and fewer than two
//! files for each reader are on their way, so what lies between the stages is never more than three batches (one at
//! the encoder, one that is not full, one behind a slow file), each with what its last file has too many, and two files
//! for each reader, which may all have been read; and what readers hold, of files and decoded, is bounded in bytes
//! by a [`Budget`], whatever the files are.
//!
//! What was read comes back in the order in which it was handed out, so that numbers are given and
//! batches formed alike on each run. A file that takes so long that others of a whole batch have
//! come after it is gone around: it comes when it is ready.
//!
//! A file that needs the whole budget is the exception. It waits until no other holds a part, smaller ones
//! passing it meanwhile, as long as there are any; and while it is decoded, the other readers wait, for no longer
//! than one file may take ([`media::Limits::max_secs`]). What was read before is encoded all the same.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope};
use std::time::Duration;

/// How long the caller is left waiting before it may look whether someone asked to stop.
const LOOK_UP: Duration = Duration::from_millis(100);

/// What comes back from the stages.
pub enum Out<R, M> {
    /// A file was read.
    Read(R),
    /// A batch was encoded.
    Made(M),
    /// Nothing yet; time to look whether to go on.
    Waiting,
    /// Nothing is under way.
    Idle,
}

enum Event<R, M> {
    Read(u64, Outcome<R>),
    Made(Outcome<M>),
}

/// A panic in a stage is the caller's panic.
type Outcome<T> = Result<T, Box<dyn Any + Send>>;

/// Readers and an encoder at work.
pub struct Stages<J, R, B, M> {
    jobs: Sender<(u64, J)>,
    batches: Sender<B>,
    back: Receiver<Event<R, M>>,
    readers: usize,
    /// As many pieces as make a batch.
    batch: usize,
    pieces: fn(&R) -> usize,
    /// Numbers of the files that are being read.
    reading: BTreeSet<u64>,
    /// Read, and waiting for one that was handed out before.
    held: BTreeMap<u64, R>,
    encoding: usize,
    handed_out: u64,
}

impl<J: Send, R: Send, B: Send, M: Send> Stages<J, R, B, M> {
    /// Starts the threads; they end when this is dropped.
    ///
    /// `pieces` says how much of a batch (of `batch` pieces) a file that was read will fill.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        readers: usize,
        batch: usize,
        pieces: fn(&R) -> usize,
        read: impl Fn(J) -> R + Send + Clone + 'scope,
        encode: impl Fn(B) -> M + Send + 'scope,
    ) -> std::io::Result<Self>
    where
        J: 'scope,
        R: 'scope,
        B: 'scope,
        M: 'scope,
    {
        let (jobs, todo) = channel::<(u64, J)>();
        let (batches, waiting) = channel::<B>();
        let (tell, back) = channel();
        let todo = Arc::new(Mutex::new(todo));
        for _ in 0..readers.max(1) {
            let (todo, tell, read) = (todo.clone(), tell.clone(), read.clone());
            Builder::new().name("reader".into()).spawn_scoped(scope, move || {
                // What a reader does with many threads it does alone: the pool that they would come
                // from is the encoder's, and a file would wait there behind a batch.
                let _alone = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
                loop {
                    let job = lock(&todo).recv();
                    let Ok((number, job)) = job else { return };
                    let outcome = catch_unwind(AssertUnwindSafe(|| read(job)));
                    if tell.send(Event::Read(number, outcome)).is_err() {
                        return;
                    }
                }
            })?;
        }
        Builder::new().name("encoder".into()).spawn_scoped(scope, move || {
            for batch in waiting {
                let outcome = catch_unwind(AssertUnwindSafe(|| encode(batch)));
                if tell.send(Event::Made(outcome)).is_err() {
                    return;
                }
            }
        })?;
        let (reading, held) = (BTreeSet::new(), BTreeMap::new());
        let readers = readers.max(1);
        Ok(Self {
            jobs,
            batches,
            back,
            readers,
            batch: batch.max(1),
            pieces,
            reading,
            held,
            encoding: 0,
            handed_out: 0,
        })
    }

    /// Whether another file may be handed out: a second for each reader, so that none waits for the caller.
    pub fn room(&self) -> bool {
        self.encoding < 2 && self.reading.len() < 2 * self.readers
    }

    /// Hands out a file.
    pub fn read(&mut self, job: J) {
        self.reading.insert(self.handed_out);
        // A reader that is gone has told why: its panic is on the way.
        let _ = self.jobs.send((self.handed_out, job));
        self.handed_out += 1;
    }

    /// Hands out a batch.
    pub fn encode(&mut self, batch: B) {
        self.encoding += 1;
        let _ = self.batches.send(batch);
    }

    /// What comes next; waits a moment for it.
    pub fn wait(&mut self) -> Out<R, M> {
        loop {
            if let Some(read) = self.due() {
                return Out::Read(read);
            }
            if self.reading.is_empty() && self.encoding == 0 {
                return Out::Idle;
            }
            match self.back.recv_timeout(LOOK_UP) {
                Ok(Event::Read(number, outcome)) => {
                    self.reading.remove(&number);
                    self.held.insert(number, outcome.unwrap_or_else(|panic| resume_unwind(panic)));
                }
                Ok(Event::Made(outcome)) => {
                    self.encoding -= 1;
                    return Out::Made(outcome.unwrap_or_else(|panic| resume_unwind(panic)));
                }
                Err(RecvTimeoutError::Timeout) => return Out::Waiting,
                Err(RecvTimeoutError::Disconnected) => return Out::Idle,
            }
        }
    }

    /// The first of those that were read, unless one before it may still come in time.
    fn due(&mut self) -> Option<R> {
        let first = *self.held.keys().next()?;
        let in_turn = self.reading.first().is_none_or(|slow| first < *slow);
        let enough = || self.held.values().map(self.pieces).sum::<usize>() >= self.batch;
        if in_turn || enough() { self.held.remove(&first) } else { None }
    }
}

/// Bytes that decoded frames may take in all, where nobody says otherwise.
pub const MEMORY: u64 = 1 << 30;

/// So many bytes that several threads share.
pub struct Budget {
    all: u64,
    left: Mutex<u64>,
    returned: Condvar,
}

/// A part of a [`Budget`], given back when dropped.
pub struct Share<'a>(&'a Budget, u64);

impl Budget {
    /// All of it.
    pub fn new(bytes: u64) -> Self {
        Self { all: bytes, left: Mutex::new(bytes), returned: Condvar::new() }
    }

    /// Waits until so much is left. Whoever wants more than there is waits for all of it; others may take
    /// their smaller parts meanwhile. A thread that holds a share may not ask for a second.
    pub fn take(&self, bytes: u64) -> Share<'_> {
        let wanted = bytes.min(self.all);
        let enough = self.returned.wait_while(lock(&self.left), |left| *left < wanted);
        let mut left = enough.unwrap_or_else(PoisonError::into_inner);
        *left -= wanted;
        Share(self, wanted)
    }
}

impl Share<'_> {
    /// How large it is.
    #[cfg(test)]
    pub fn bytes(&self) -> u64 {
        self.1
    }

    /// Makes it so large, if as much is left, and says whether; never waits, as two that hold something and wait
    /// for more would wait for each other.
    pub fn resize(&mut self, bytes: u64) -> bool {
        let wanted = bytes.min(self.0.all);
        let mut left = lock(&self.0.left);
        let enough = wanted <= self.1 + *left;
        if enough {
            *left = *left + self.1 - wanted;
            self.1 = wanted;
            self.0.returned.notify_all();
        }
        enough
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *lock(&self.0.left) += self.1;
        self.0.returned.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    /// Everything, in the order in which it came: reads, and the sums of batches of two.
    fn run(readers: usize, jobs: Vec<u64>, read: impl Fn(u64) -> u64 + Send + Clone) -> (Vec<u64>, Vec<u64>) {
        let (mut order, mut sums, mut pending) = (Vec::new(), Vec::new(), Vec::new());
        std::thread::scope(|scope| {
            let encode = |batch: Vec<u64>| batch.iter().sum::<u64>();
            let mut stages = Stages::start(scope, readers, 2, |_| 1, read, encode).unwrap();
            let mut jobs = jobs.into_iter().peekable();
            loop {
                while stages.room()
                    && let Some(job) = jobs.next()
                {
                    stages.read(job);
                }
                match stages.wait() {
                    Out::Read(n) => {
                        order.push(n);
                        pending.push(n);
                        if pending.len() == 2 {
                            stages.encode(std::mem::take(&mut pending));
                        }
                    }
                    Out::Made(sum) => sums.push(sum),
                    Out::Waiting => (),
                    Out::Idle if pending.is_empty() && jobs.peek().is_none() => break,
                    Out::Idle => stages.encode(std::mem::take(&mut pending)),
                }
            }
        });
        (order, sums)
    }

    #[test]
    fn everything_comes_back_in_order_and_the_last_batch_is_a_short_one() {
        let (order, sums) = run(3, (0..101).collect(), |n| {
            std::thread::sleep(Duration::from_micros(n * 7919 % 300));
            n
        });
        assert_eq!(sums.len(), 51);
        assert_eq!(sums.iter().sum::<u64>(), 5050);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..101).collect::<Vec<_>>(), "each once");
        // One reader has nobody to overtake.
        assert_eq!(run(1, (0..20).collect(), |n| n).0, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_slow_file_is_gone_around() {
        let others = AtomicUsize::new(0);
        let (order, _) = run(2, (0..30).collect(), |n| {
            if n == 3 {
                // Would wait for ever if the others waited for it.
                while others.load(SeqCst) < 15 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            } else {
                others.fetch_add(1, SeqCst);
            }
            n
        });
        assert_eq!(order.len(), 30);
        assert!(order.iter().position(|n| *n == 3) > Some(10), "{order:?}");
    }

    #[test]
    fn a_panic_of_a_reader_reaches_the_caller() {
        let caught = catch_unwind(|| run(2, (0..9).collect(), |n| if n == 4 { panic!("four") } else { n }));
        assert!(caught.is_err());
    }

    #[test]
    fn a_budget_is_never_overdrawn_and_what_is_too_large_goes_alone() {
        let budget = Budget::new(10);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for t in 0..4usize {
                let (budget, now, most) = (&budget, &now, &most);
                scope.spawn(move || {
                    for i in 0..200 {
                        let want = (t * 5 + i * 3) % 14;
                        let _share = budget.take(want as u64);
                        most.fetch_max(now.fetch_add(want.min(10), SeqCst) + want.min(10), SeqCst);
                        now.fetch_sub(want.min(10), SeqCst);
                    }
                });
            }
        });
        assert!((1..=10).contains(&most.load(SeqCst)), "{most:?}");
        assert_eq!(*lock(&budget.left), 10);
    }

    #[test]
    fn a_share_grows_by_what_is_left_and_never_waits() {
        let budget = Budget::new(10);
        let (mut one, mut two) = (budget.take(3), budget.take(4));
        assert!(one.resize(6) && !one.resize(7) && !two.resize(5), "three and four leave three");
        assert!(two.resize(1) && one.resize(9));
        drop(two);
        assert!(one.resize(25), "more than there is, is all of it");
        drop(one);
        assert_eq!(*lock(&budget.left), 10);
    }

    #[test]
    fn small_ones_pass_what_waits_for_the_whole_budget() {
        let budget = Budget::new(10);
        let first = budget.take(6);
        std::thread::scope(|scope| {
            let giant = scope.spawn(|| budget.take(99).1);
            std::thread::sleep(Duration::from_millis(20));
            // Would wait for ever if it stood in line behind the giant, which waits for the first.
            drop(budget.take(4));
            drop(first);
            assert_eq!(giant.join().unwrap(), 10);
        });
    }
}
