//! The exam itself, and how answer sheets are marked.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use domain::{Digest, GalleryEntry, MediaRef, Triplet};

use crate::bootstrap::Bootstrap;
use crate::{Error, Protocol, QueryRank, Ranking, Report, Result, RightRule, TieRule, ranking};

/// A gallery, questions with their right answers, and the rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Benchmark {
    /// What people call it.
    pub name: String,
    /// Everything that may be an answer.
    pub gallery: Vec<GalleryEntry>,
    /// What is asked about but may not be an answer: references that are not in the gallery
    /// (WebVid-CoVR's gallery holds its target videos only).
    pub references: Vec<GalleryEntry>,
    /// The questions.
    pub queries: Vec<Triplet>,
    /// The folder that the gallery's paths start from.
    pub root: PathBuf,
    /// The rules.
    pub protocol: Protocol,
    /// Whether the right answers are kept by a server (CIRR's and CIRCO's test parts): then no
    /// question has any, nothing can be marked here, and rankings can only be handed in.
    pub hidden: bool,
    /// What the set names but this exam had to do without.
    pub left_out: LeftOut,
}

/// What a set names but an exam had to do without; printed with every mark.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LeftOut {
    /// Items whose file is missing, by name.
    pub gallery: Vec<String>,
    /// Questions whose reference or whose every right answer is missing, by id.
    pub queries: Vec<String>,
}

impl Benchmark {
    /// An exam from its parts, checked.
    pub fn new(
        name: impl Into<String>,
        gallery: Vec<GalleryEntry>,
        queries: Vec<Triplet>,
        protocol: Protocol,
    ) -> Result<Self> {
        let (root, left_out) = (PathBuf::new(), LeftOut::default());
        let references = Vec::new();
        let this = Self { name: name.into(), gallery, references, queries, root, protocol, hidden: false, left_out };
        this.check()?;
        Ok(this)
    }

    /// Where an item lies.
    pub fn path_of(&self, entry: &GalleryEntry) -> PathBuf {
        self.root.join(Path::new(&entry.path))
    }

    /// The media that an item is: a file, or, where there is none of that name, a span of one
    /// (`clip.mp4@00:41-00:45`).
    pub fn media_of(&self, entry: &GalleryEntry) -> MediaRef {
        let whole = self.path_of(entry);
        match MediaRef::parse(&entry.path) {
            Ok(part) if part.span.is_some() && !whole.is_file() => {
                MediaRef { path: self.root.join(&part.path), span: part.span }
            }
            _ => MediaRef::file(whole),
        }
    }

    /// A digest of what is asked and what is right: names and texts, not the files' bytes.
    pub fn digest(&self) -> Digest {
        let mut text = String::from("benchmark 1");
        for entry in &self.gallery {
            text.push_str(&format!("\0g\0{}", entry.name));
        }
        for q in &self.queries {
            text.push_str(&format!("\0q\0{}\0{}\0{}\0{:?}\0{:?}", q.id, q.reference, q.text, q.targets, q.subset));
            if !q.wordings.is_empty() {
                text.push_str(&format!("\0also\0{:?}", q.wordings));
            }
            if let Some(candidates) = &q.candidates {
                text.push_str(&format!("\0among\0{candidates:?}"));
            }
        }
        Digest::of(text.as_bytes())
    }

    /// Turns one question's scores into an answer sheet by the protocol's rule for ties.
    pub fn rank(&self, query: &str, scores: &[(&str, f32)]) -> Result<Ranking> {
        let Some(triplet) = self.queries.iter().find(|q| q.id == query) else {
            return Err(unknown_query(query, self));
        };
        let mut scores = scores.to_vec();
        ranking::order(&mut scores, &triplet.targets, self.protocol.ties)?;
        Ok(Ranking::new(query, scores.into_iter().map(|(name, _)| name)))
    }

    /// Marks one answer sheet per question, with 95 % intervals from 10,000 resamples.
    pub fn mark(&self, rankings: &[Ranking]) -> Result<Report> {
        let mut marker = self.marker()?;
        for ranking in rankings {
            marker.add(&ranking.query, ranking.gallery.iter().map(String::as_str))?;
        }
        marker.finish(Bootstrap::default())
    }

    /// Marks answer sheets as they come, so that they need not all lie in memory.
    pub fn marker(&self) -> Result<Marker<'_>> {
        self.check()?;
        if self.hidden {
            let fault = "a server keeps its right answers; hand in a submission instead of marking".to_owned();
            return Err(Error::Benchmark { name: self.name.clone(), fault });
        }
        Ok(Marker {
            benchmark: self,
            place: self.gallery.iter().enumerate().map(|(i, g)| (g.name.as_str(), i)).collect(),
            number: self.queries.iter().enumerate().map(|(i, q)| (q.id.as_str(), i)).collect(),
            ranks: vec![None; self.queries.len()],
            seen: vec![usize::MAX; self.gallery.len()],
        })
    }

    /// Refuses an exam that contradicts itself.
    pub fn check(&self) -> Result<()> {
        let fault = |fault: String| Err(Error::Benchmark { name: self.name.clone(), fault });
        if let Some(text) = self.protocol.fault() {
            return fault(format!("its protocol's {text}"));
        }
        if self.queries.is_empty() {
            return fault("it asks nothing; there is nothing to mark".to_owned());
        }
        let mut names = HashSet::with_capacity(self.gallery.len());
        if let Some(twice) = self.gallery.iter().find(|g| !names.insert(g.name.as_str())) {
            return fault(format!("the gallery names {} twice; names must be unique", twice.name));
        }
        let mut outside = HashSet::with_capacity(self.references.len());
        if let Some(twice) =
            self.references.iter().find(|g| names.contains(g.name.as_str()) || !outside.insert(g.name.as_str()))
        {
            return fault(format!("its gallery and references name {} twice; names must be unique", twice.name));
        }
        let mut ids = HashSet::with_capacity(self.queries.len());
        for q in &self.queries {
            let says = |text: String| fault(format!("question {}: {text}", q.id));
            if !ids.insert(q.id.as_str()) {
                return says("another question has the same id; ids must be unique".to_owned());
            }
            if !names.contains(q.reference.as_str()) && !outside.contains(q.reference.as_str()) {
                return says(format!("its reference {} is not in the gallery, nor beside it", q.reference));
            }
            if q.targets.is_empty() && !self.hidden {
                return says("it has no right answer; give at least one".to_owned());
            }
            if !q.targets.is_empty() && self.hidden {
                return says("it has a right answer, but the benchmark says that its answers are hidden".to_owned());
            }
            for list in [Some(&q.targets), q.subset.as_ref(), q.candidates.as_ref()].into_iter().flatten() {
                let mut once = HashSet::new();
                for name in list {
                    if !names.contains(name.as_str()) {
                        return says(format!("it names {name}, which is not in the gallery"));
                    }
                    if !once.insert(name) {
                        return says(format!("it names {name} twice in one list"));
                    }
                }
            }
            if let (Some(subset), Some(first)) = (&q.subset, q.targets.first())
                && !subset.contains(first)
            {
                return says(format!("its first right answer {first} is not among its look-alikes"));
            }
            if let Some(candidates) = &q.candidates
                && let Some(outside) = q.targets.iter().find(|t| !candidates.contains(t))
            {
                return says(format!("its right answer {outside} is not among its candidates"));
            }
        }
        Ok(())
    }
}

/// Marks answer sheets as they come; see [`Benchmark::marker`].
pub struct Marker<'a> {
    benchmark: &'a Benchmark,
    place: HashMap<&'a str, usize>,
    number: HashMap<&'a str, usize>,
    ranks: Vec<Option<QueryRank>>,
    /// Per gallery item, the last question whose ranking held it: finds repeats without clearing.
    seen: Vec<usize>,
}

impl Marker<'_> {
    /// Marks one question's ranking: the gallery's names, best first.
    ///
    /// It must hold the whole gallery, or at least as many names as the protocol looks deep; where the
    /// question has candidates, all of them. A right answer that the protocol takes out, because it is
    /// the reference itself, is never found: the question is still asked and may be missed.
    pub fn add<'n>(&mut self, query: &str, names: impl IntoIterator<Item = &'n str>) -> Result<()> {
        let Benchmark { queries, gallery, protocol, .. } = self.benchmark;
        let fault = |fault: String| Err(Error::Ranking { query: query.to_owned(), fault });
        let Some(&number) = self.number.get(query) else {
            return Err(unknown_query(query, self.benchmark));
        };
        if self.ranks[number].is_some() {
            return fault("it was already answered; hand in one ranking per question".to_owned());
        }
        let q = &queries[number];
        let subset: &[String] = q.subset.as_deref().filter(|_| protocol.subset).unwrap_or(&[]);
        let candidates: Option<HashSet<&str>> = q.candidates.as_ref().map(|c| c.iter().map(String::as_str).collect());

        let (mut rank, mut rank_in_subset) = (0usize, 0usize);
        let (mut found, mut subset_found) = (Vec::new(), Vec::new());
        let (mut listed, mut among, mut in_subset) = (0usize, 0usize, 0usize);
        for name in names {
            let Some(&place) = self.place.get(name) else {
                return fault(format!("it names {name}, which is not in the gallery"));
            };
            if std::mem::replace(&mut self.seen[place], number) == number {
                return fault(format!("it names {name} twice"));
            }
            listed += 1;
            if candidates.as_ref().is_some_and(|c| !c.contains(name)) {
                continue;
            }
            among += 1;
            let member = subset.iter().any(|s| s == name);
            in_subset += usize::from(member);
            if protocol.drop_reference && name == q.reference {
                continue;
            }
            rank += 1;
            rank_in_subset += usize::from(member);
            if let Some(target) = q.targets.iter().position(|t| t == name) {
                found.push((target, rank));
                if member {
                    subset_found.push((target, rank_in_subset));
                }
            }
        }
        let deep = protocol.depth();
        if let Some(c) = &candidates
            && among < c.len()
        {
            return fault(format!("it holds {among} of the question's {} candidates; rank them all", c.len()));
        }
        if candidates.is_none() && listed < gallery.len() && rank < deep {
            return fault(format!(
                "it holds {listed} of {} items, but the protocol looks {deep} deep; rank the whole gallery",
                gallery.len()
            ));
        }
        // Members that are not listed stand behind the listed ones, in an order nobody knows.
        let subset_rank = best(&subset_found, protocol.subset_right);
        if candidates.is_none() && !subset.is_empty() && subset_rank.is_none() && in_subset < subset.len() {
            return fault(
                "it lists none of the right look-alikes; rank the whole gallery, or switch the protocol's subset off"
                    .to_owned(),
            );
        }
        self.keep(number, &found, subset_rank);
        Ok(())
    }

    /// Marks one question by the scores of the whole gallery, in the gallery's order; higher is better.
    ///
    /// The same as ordering the names by the protocol's rule for ties and adding that ranking, but
    /// nothing is sorted: a gallery of 123,403 is gone through once.
    pub fn add_scores(&mut self, query: &str, scores: &[f32]) -> Result<()> {
        let Benchmark { queries, gallery, protocol, .. } = self.benchmark;
        let fault = |fault: String| Err(Error::Ranking { query: query.to_owned(), fault });
        let Some(&number) = self.number.get(query) else {
            return Err(unknown_query(query, self.benchmark));
        };
        if self.ranks[number].is_some() {
            return fault("it was already answered; hand in one ranking per question".to_owned());
        }
        if scores.len() != gallery.len() {
            return fault(format!(
                "it has {} scores for {} items; score the whole gallery",
                scores.len(),
                gallery.len()
            ));
        }
        if let Some(at) = scores.iter().position(|s| s.is_nan()) {
            return Err(Error::NotANumber { name: gallery[at].name.clone() });
        }
        let q = &queries[number];
        let places = |names: &[String]| names.iter().filter_map(|n| self.place.get(n.as_str()).copied()).collect();
        let dropped = self.place.get(q.reference.as_str()).copied().filter(|_| protocol.drop_reference);
        let targets: Vec<usize> = places(&q.targets);
        let scored = Scored { gallery, scores, targets: &targets, dropped, ties: protocol.ties };
        let found = match &q.candidates {
            Some(candidates) => scored.ranks(places(candidates)),
            None => scored.ranks(0..gallery.len()),
        };
        let subset_rank = match q.subset.as_deref().filter(|_| protocol.subset) {
            Some(subset) => {
                let mut members: Vec<usize> = places(subset);
                if let Some(candidates) = &q.candidates {
                    members.retain(|&p| candidates.contains(&gallery[p].name));
                }
                best(&scored.ranks(members), protocol.subset_right)
            }
            None => None,
        };
        self.keep(number, &found, subset_rank);
        Ok(())
    }

    /// `found` holds the right answers' places in the question's list, and their ranks, rising.
    fn keep(&mut self, number: usize, found: &[(usize, usize)], subset_rank: Option<usize>) {
        let Benchmark { queries, protocol, .. } = self.benchmark;
        let q = &queries[number];
        self.ranks[number] = Some(QueryRank {
            query: q.id.clone(),
            change: q.change,
            slice: q.slice.clone(),
            aspects: q.aspects.clone(),
            words: q.text.split_whitespace().count(),
            rank: best(found, protocol.right),
            target_ranks: found.iter().map(|(_, rank)| *rank).collect(),
            targets: q.targets.len(),
            subset_rank,
        });
    }

    /// The report, once every question has been answered.
    pub fn finish(self, bootstrap: Bootstrap) -> Result<Report> {
        let queries = &self.benchmark.queries;
        let mut missing = self.ranks.iter().zip(queries).filter(|(r, _)| r.is_none()).map(|(_, q)| &q.id);
        if let Some(first) = missing.next() {
            let (count, first) = (1 + missing.count(), first.clone());
            return Err(Error::Unanswered { count, of: queries.len(), first });
        }
        drop(missing);
        Ok(Report::new(self.benchmark, self.ranks.into_iter().flatten().collect(), bootstrap))
    }
}

/// One question's scores over a gallery.
struct Scored<'a> {
    gallery: &'a [GalleryEntry],
    scores: &'a [f32],
    /// Places of the right answers.
    targets: &'a [usize],
    /// The place that is taken out.
    dropped: Option<usize>,
    ties: TieRule,
}

impl Scored<'_> {
    /// The right answers that are among the items at `places`, with their ranks, rising.
    fn ranks(&self, places: impl IntoIterator<Item = usize>) -> Vec<(usize, usize)> {
        let Self { gallery, scores, ties, .. } = *self;
        let name = |place: usize| gallery[place].name.as_str();
        let mut targets = Vec::new();
        let mut others = Vec::new();
        for place in places.into_iter().filter(|p| Some(*p) != self.dropped) {
            match self.targets.iter().position(|t| *t == place) {
                Some(target) => targets.push((target, place)),
                None => others.push(place),
            }
        }
        // As `ranking::order` has it.
        let first = |&(target, _): &(usize, usize)| target == 0;
        targets.sort_by(|a, b| {
            ranking::high_first(scores[a.1], scores[b.1])
                .then_with(|| match ties {
                    TieRule::Pessimistic => first(a).cmp(&first(b)),
                    TieRule::Optimistic => first(b).cmp(&first(a)),
                    TieRule::Name => std::cmp::Ordering::Equal,
                })
                .then_with(|| name(a.1).cmp(name(b.1)))
        });
        let before = |place: usize| {
            let (score, name_of_target) = (scores[place], name(place));
            let wins = |&&other: &&usize| match ties {
                TieRule::Pessimistic => scores[other] >= score,
                TieRule::Optimistic => scores[other] > score,
                TieRule::Name => scores[other] > score || (scores[other] == score && name(other) < name_of_target),
            };
            others.iter().filter(wins).count()
        };
        targets.iter().enumerate().map(|(i, &(target, place))| (target, 1 + i + before(place))).collect()
    }
}

/// The best rank that the rule counts, of right answers by their place in the question's list.
fn best(found: &[(usize, usize)], right: RightRule) -> Option<usize> {
    found.iter().find(|(target, _)| right != RightRule::First || *target == 0).map(|(_, rank)| *rank)
}

fn unknown_query(query: &str, benchmark: &Benchmark) -> Error {
    Error::Ranking {
        query: query.to_owned(),
        fault: format!("{} asks no such question; use the ids of its triplets", benchmark.name),
    }
}
