//! A world that can be learnt from: families of scenes and the questions that lead from one to another.

use crate::edit::Edit;
use crate::rng::Rng;
use crate::scene::{
    Camera, Colour, Companion, Concept, Key, Kind, Light, Motion, Place, Scene, Side, Size, Texture, Thing, Weather,
};
use domain::{Change, Split, Triplet};
use std::collections::HashMap;

/// A recipe for a set: how many families each split has. The same recipe gives the same set everywhere.
///
/// A family is a random base scene and eight variants of it, and some 10 to 14 triplets among them.
/// The splits are made in the order test, val, train, and each leaves out what an earlier one holds,
/// so that `World::train(n)` shares no scene with [`World::shipped`] whatever `n` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct World {
    /// Decides everything.
    pub seed: u64,
    /// Families to learn from.
    pub train: usize,
    /// Families to choose settings on.
    pub val: usize,
    /// Families to be marked on.
    pub test: usize,
}

/// The seed of all presets: what was learnt in one was never asked in another.
const SEED: u64 = 2026;

impl World {
    /// A dozen families, for tests.
    pub fn tiny() -> Self {
        Self { seed: SEED, train: 6, val: 2, test: 4 }
    }

    /// The first fifty test families: a library to look at, of scenes that nothing shipped has learnt from.
    pub fn demo() -> Self {
        Self { seed: SEED, train: 0, val: 0, test: 50 }
    }

    /// The set that figures are quoted on: 230 test families, 60 to choose settings on.
    pub fn shipped() -> Self {
        Self { seed: SEED, train: 0, val: 60, test: 230 }
    }

    /// The shipped set and this many families to learn from.
    pub fn train(families: usize) -> Self {
        Self { train: families, ..Self::shipped() }
    }
}

/// A scene with its name.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Named {
    /// Its name; unique in the set.
    pub name: String,
    /// What it is.
    pub scene: Scene,
    /// What it shows, in words.
    pub caption: String,
    /// Which split it belongs to.
    pub split: Split,
}

/// Items and the questions about them.
#[derive(Clone, Debug, Default)]
pub struct Set {
    /// All scenes; those of one family are neighbours, its base first.
    pub items: Vec<Named>,
    /// All questions.
    pub triplets: Vec<Triplet>,
}

/// Whether this subject under this concept is kept out of what is learnt from: about one in twelve.
pub fn held_out(key: &Key) -> bool {
    key.concept.is_some_and(|concept| {
        let parts = [key.subject.kind as u64, key.subject.colour as u64, concept as u64];
        Rng::keyed(8, &parts).below(100) < 8
    })
}

/// Makes the set; no file is touched.
pub fn build(world: &World) -> Set {
    let mut set = Set::default();
    let mut taken: HashMap<Key, Split> = HashMap::new();
    for (split, families) in [(Split::Test, world.test), (Split::Val, world.val), (Split::Train, world.train)] {
        let (first_item, first_triplet) = (set.items.len(), set.triplets.len());
        let mut members: HashMap<Key, Vec<String>> = HashMap::new();
        // Each triplet's target, to find all items that mean the same once the split is complete.
        let mut wanted = Vec::new();
        for number in 0..families {
            let family = (0..)
                .find_map(|attempt| {
                    let mut rng = Rng::keyed(world.seed, &[split as u64, number as u64, attempt]);
                    let family = family(split, &mut rng)?;
                    let free = |s: &Scene| taken.get(&s.key()).is_none_or(|owner| *owner == split);
                    family.scenes.iter().all(free).then_some((family, rng))
                })
                .expect("an unbounded search ends only with a family");
            let (family, mut rng) = family;
            let name = |i: usize| format!("{split}-{number:05}-{i}");
            for (i, scene) in family.scenes.iter().enumerate() {
                taken.insert(scene.key(), split);
                members.entry(scene.key()).or_default().push(name(i));
                let caption = scene.captions(0, 1).remove(0);
                set.items.push(Named { name: name(i), scene: scene.clone(), caption, split });
            }
            for (i, (from, to, edit)) in family.questions.iter().enumerate() {
                let (from_key, to_key) = (family.scenes[*from].key(), family.scenes[*to].key());
                let mut others: Vec<_> = (0..family.scenes.len()).filter(|i| i != from && i != to).collect();
                rng.shuffle(&mut others);
                // Look-alikes that differ in the same respect come first: they are the hard ones.
                others.sort_by_key(|i| {
                    Edit::between(&from_key, &family.scenes[*i].key()).is_none_or(|e| e.slice() != edit.slice())
                });
                let mut subset: Vec<_> = std::iter::once(*to).chain(others).take(6).map(name).collect();
                subset.sort();
                let slice =
                    if held_out(&to_key) { format!("{}/held-out", edit.slice()) } else { edit.slice().to_owned() };
                wanted.push((to_key, name(*to)));
                set.triplets.push(Triplet {
                    id: format!("{split}-{number:05}-q{i:02}"),
                    reference: name(*from),
                    text: edit.phrase(&from_key, &mut rng),
                    targets: Vec::new(),
                    subset: Some(subset),
                    split: Some(split),
                    change: Some(edit.change()),
                    slice: Some(slice),
                    ..Triplet::default()
                });
            }
        }
        for (triplet, (key, first)) in set.triplets[first_triplet..].iter_mut().zip(wanted) {
            let mut all = members.get(&key).cloned().unwrap_or_default();
            // The one that was made for the question is named first.
            all.sort_by_key(|name| (*name != first, name.clone()));
            triplet.targets = all;
        }
        debug_assert!(set.items[first_item..].iter().all(|i| i.split == split));
    }
    set
}

struct Family {
    /// The base, then its variants.
    scenes: Vec<Scene>,
    /// From which to which, and by what change.
    questions: Vec<(usize, usize, Edit)>,
}

fn other<T: Copy + PartialEq>(all: &[T], not: T, rng: &mut Rng) -> T {
    let rest: Vec<T> = all.iter().copied().filter(|x| *x != not).collect();
    *rng.pick(&rest)
}

fn base(rng: &mut Rng) -> Key {
    let kind = *rng.pick(Kind::ALL);
    let companion = rng.chance(0.6).then(|| Companion {
        kind: other(Kind::ALL, kind, rng),
        colour: *rng.pick(Colour::ALL),
        side: *rng.pick(Side::ALL),
    });
    Key {
        subject: Thing {
            kind,
            colour: *rng.pick(Colour::ALL),
            texture: *rng.pick(&[Texture::Plain, Texture::Plain, Texture::Striped, Texture::Dotted]),
            size: *rng.pick(&[Size::Big, Size::Big, Size::Small]),
        },
        count: *rng.pick(&[1, 1, 1, 2, 2, 3, 4]),
        companion,
        place: *rng.pick(Place::ALL),
        light: *rng.pick(&[Light::Day, Light::Day, Light::Sunset, Light::Night]),
        weather: *rng.pick(&[Weather::Clear, Weather::Clear, Weather::Rain, Weather::Fog]),
        concept: rng.chance(0.25).then(|| *rng.pick(Concept::ALL)),
        action: rng.chance(0.5).then(|| {
            (*rng.pick(Motion::ALL), *rng.pick(&[Camera::Steady, Camera::Steady, Camera::ZoomsIn, Camera::ZoomsOut]))
        }),
    }
}

/// A random change of one kind, or `None` where it makes no sense.
fn change(slice: usize, key: &Key, rng: &mut Rng) -> Option<Edit> {
    Some(match slice {
        0 => Edit::Colour(other(Colour::ALL, key.subject.colour, rng)),
        1 => {
            let kind = other(Kind::ALL, key.subject.kind, rng);
            return key.companion.is_none_or(|c| c.kind != kind).then_some(Edit::Kind(kind));
        }
        2 => Edit::Count(other(&[1, 2, 3, 4], key.count, rng)),
        3 => Edit::Texture(other(Texture::ALL, key.subject.texture, rng)),
        4 => Edit::Size(other(Size::ALL, key.subject.size, rng)),
        5 => match key.companion {
            Some(_) if rng.chance(0.35) => Edit::DropCompanion,
            Some(c) => Edit::PaintCompanion(other(Colour::ALL, c.colour, rng)),
            None => Edit::AddCompanion(Companion {
                kind: other(Kind::ALL, key.subject.kind, rng),
                colour: *rng.pick(Colour::ALL),
                side: *rng.pick(Side::ALL),
            }),
        },
        6 => Edit::Place(other(Place::ALL, key.place, rng)),
        7 => Edit::Light(other(Light::ALL, key.light, rng)),
        8 => Edit::Weather(other(Weather::ALL, key.weather, rng)),
        9 => match key.action {
            Some((m, _)) => Edit::Motion(other(Motion::ALL, m, rng)),
            None => Edit::Motion(*rng.pick(&Motion::ALL[1..])),
        },
        _ => match key.action {
            Some((_, c)) => Edit::Camera(other(Camera::ALL, c, rng)),
            None => Edit::Camera(*rng.pick(&Camera::ALL[1..])),
        },
    })
}

/// Explicit slices that have more than two values, so that a family can hold two that differ only in the value.
const PAIRABLE: [usize; 9] = [0, 1, 2, 3, 5, 6, 7, 8, 9];

fn family(split: Split, rng: &mut Rng) -> Option<Family> {
    let root = base(rng);
    let allowed = |key: &Key| split != Split::Train || !held_out(key);
    if !allowed(&root) {
        return None;
    }
    let mut scenes = vec![Scene::of(root, rng)];
    let mut edits: Vec<Edit> = Vec::new();
    let implied = 2 + rng.below(2);
    let mut wanted: Vec<usize> = (0..11).collect();
    rng.shuffle(&mut wanted);
    let pair = *rng.pick(&PAIRABLE);
    wanted.retain(|s| *s != pair);
    wanted.splice(0..0, [pair, pair]);
    wanted.truncate(8 - implied);
    for slice in wanted {
        // Two of one slice must differ from one another too.
        let edit = (0..20).find_map(|_| {
            let edit = change(slice, &root, rng)?;
            let same_sort = std::mem::discriminant(&edit);
            let partner = edits.iter().all(|e| e.slice() != edit.slice() || std::mem::discriminant(e) == same_sort);
            (partner && !edits.contains(&edit) && allowed(&edit.apply(&root))).then_some(edit)
        })?;
        edits.push(edit);
    }
    let mut concepts: Vec<_> = Concept::ALL.iter().copied().filter(|c| Some(*c) != root.concept).collect();
    rng.shuffle(&mut concepts);
    if split != Split::Train {
        // What was kept out of learning is asked more often than chance would have it.
        concepts.sort_by_key(|c| !held_out(&Edit::Concept(*c).apply(&root)));
    }
    concepts.retain(|c| allowed(&Edit::Concept(*c).apply(&root)));
    edits.extend(concepts.into_iter().take(implied).map(Edit::Concept));
    if edits.len() != 8 {
        return None;
    }
    let mut questions = Vec::new();
    for edit in &edits {
        scenes.push(Scene::of(edit.apply(&root), rng));
        questions.push((0, scenes.len() - 1, *edit));
    }
    // Further questions: back to the base, and from variant to variant where one change leads there.
    let mut more = Vec::new();
    for from in 1..scenes.len() {
        for to in (0..scenes.len()).filter(|to| *to != from) {
            if let Some(edit) = Edit::between(&scenes[from].key(), &scenes[to].key()) {
                more.push((from, to, edit));
            }
        }
    }
    rng.shuffle(&mut more);
    // Implied questions are fewer by nature; those among variants come first to keep the balance.
    more.sort_by_key(|(_, _, edit)| edit.change() == Change::Explicit);
    let implied_more: Vec<_> = more.iter().filter(|q| q.2.change() == Change::Implied).take(2).copied().collect();
    let explicit_more: Vec<_> =
        more.iter().filter(|q| q.2.change() == Change::Explicit).take(1 + rng.below(2)).copied().collect();
    questions.extend(implied_more.into_iter().chain(explicit_more));
    Some(Family { scenes, questions })
}
