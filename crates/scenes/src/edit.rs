//! One change to a scene's meaning, and the many ways to ask for it.

use crate::rng::Rng;
use crate::scene::{Camera, Colour, Companion, Concept, Key, Kind, Light, Motion, Place, Size, Texture, Weather};
use domain::Change;

/// One change to a scene's meaning; whatever it does not name is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edit {
    /// The subject takes another colour.
    Colour(Colour),
    /// The subject becomes another kind of thing, of the same colour, texture and size.
    Kind(Kind),
    /// There are so many of the subject.
    Count(u8),
    /// The subject takes another texture.
    Texture(Texture),
    /// The subject takes another size.
    Size(Size),
    /// Something comes beside the subject.
    AddCompanion(Companion),
    /// What is beside the subject goes.
    DropCompanion,
    /// What is beside the subject takes another colour.
    PaintCompanion(Colour),
    /// It happens elsewhere.
    Place(Place),
    /// The light changes.
    Light(Light),
    /// The weather changes.
    Weather(Weather),
    /// The subject moves so; a still picture becomes a clip with a steady camera.
    Motion(Motion),
    /// The camera moves so; a still picture becomes a clip of a subject that stays.
    Camera(Camera),
    /// The clip becomes a still picture.
    Still,
    /// An idea is hinted at, instead of any other.
    Concept(Concept),
}

impl Edit {
    /// The meaning after the change.
    pub fn apply(self, from: &Key) -> Key {
        let mut to = *from;
        match self {
            Edit::Colour(c) => to.subject.colour = c,
            Edit::Kind(k) => to.subject.kind = k,
            Edit::Count(n) => to.count = n,
            Edit::Texture(t) => to.subject.texture = t,
            Edit::Size(s) => to.subject.size = s,
            Edit::AddCompanion(c) => to.companion = Some(c),
            Edit::DropCompanion => to.companion = None,
            Edit::PaintCompanion(colour) => to.companion = to.companion.map(|c| Companion { colour, ..c }),
            Edit::Place(p) => to.place = p,
            Edit::Light(l) => to.light = l,
            Edit::Weather(w) => to.weather = w,
            Edit::Motion(m) => to.action = Some((m, to.action.map_or(Camera::Steady, |a| a.1))),
            Edit::Camera(c) => to.action = Some((to.action.map_or(Motion::Stays, |a| a.0), c)),
            Edit::Still => to.action = None,
            Edit::Concept(c) => to.concept = Some(c),
        }
        to
    }

    /// The one change that leads from one meaning to another, if there is one.
    pub fn between(from: &Key, to: &Key) -> Option<Edit> {
        let mut all = vec![
            Edit::Colour(to.subject.colour),
            Edit::Kind(to.subject.kind),
            Edit::Count(to.count),
            Edit::Texture(to.subject.texture),
            Edit::Size(to.subject.size),
            Edit::Place(to.place),
            Edit::Light(to.light),
            Edit::Weather(to.weather),
        ];
        match (from.companion, to.companion) {
            (Some(_), None) => all.push(Edit::DropCompanion),
            (None, Some(c)) => all.push(Edit::AddCompanion(c)),
            (Some(_), Some(c)) => all.push(Edit::PaintCompanion(c.colour)),
            (None, None) => {}
        }
        match to.action {
            Some((m, c)) => all.extend([Edit::Motion(m), Edit::Camera(c)]),
            None => all.push(Edit::Still),
        }
        all.extend(to.concept.map(Edit::Concept));
        all.into_iter().find(|edit| from != to && edit.apply(from) == *to)
    }

    /// What is changed, in one word: results are sliced by it.
    pub fn slice(self) -> &'static str {
        match self {
            Edit::Colour(_) => "colour",
            Edit::Kind(_) => "kind",
            Edit::Count(_) => "count",
            Edit::Texture(_) => "texture",
            Edit::Size(_) => "size",
            Edit::AddCompanion(_) | Edit::DropCompanion | Edit::PaintCompanion(_) => "companion",
            Edit::Place(_) => "place",
            Edit::Light(_) => "light",
            Edit::Weather(_) => "weather",
            Edit::Motion(_) => "motion",
            Edit::Camera(_) => "camera",
            Edit::Still => "still",
            Edit::Concept(_) => "concept",
        }
    }

    /// Whether the words name what is to be seen.
    pub fn change(self) -> Change {
        if matches!(self, Edit::Concept(_)) { Change::Implied } else { Change::Explicit }
    }

    /// All ways to ask for this change of this scene.
    pub fn phrases(self, from: &Key) -> Vec<String> {
        let many = from.count > 1;
        let kind = from.subject.kind;
        let thing = if many { plural(kind) } else { kind.word() };
        let (it, its, is, them) = if many { ("they", "their", "are", "them") } else { ("it", "its", "is", "it") };
        let a = |rest: &str| if many { rest.to_owned() } else { article(rest) };
        let fill = |templates: &[&str], words: &[(&str, &str)]| -> Vec<String> {
            let fixed = [("{thing}", thing), ("{it}", it), ("{its}", its), ("{is}", is), ("{them}", them)];
            let replace = |t: &&str| words.iter().chain(&fixed).fold((*t).to_owned(), |s, (k, v)| s.replace(k, v));
            templates.iter().map(replace).collect()
        };
        match self {
            Edit::Colour(c) => fill(
                &[
                    "make the {thing} {c}",
                    "the same with {a}",
                    "change {its} colour to {c}",
                    "but the {thing} {is} {c}",
                    "in {c}",
                    "paint the {thing} {c}",
                    "{c} instead",
                    "like this but {c}",
                    "turn the {thing} {c}",
                    "i want {a} instead",
                ],
                &[("{c}", c.word()), ("{a}", &a(&format!("{} {thing}", c.word())))],
            ),
            Edit::Kind(k) => {
                let new = if many { plural(k) } else { k.word() };
                fill(
                    &[
                        "replace the {thing} with {a}",
                        "{a} instead of the {thing}",
                        "the same with {a}",
                        "make it {a}",
                        "swap the {thing} for {a}",
                        "{a} in place of the {thing}",
                        "change the {thing} into {a}",
                        "but with {a} instead",
                        "i want {a} there instead",
                    ],
                    &[("{a}", &a(new))],
                )
            }
            Edit::Count(n) => {
                let new = if n > 1 { plural(kind) } else { kind.word() };
                let mut out = fill(
                    &[
                        "make it {n} {new}",
                        "{n} {new} instead of {old}",
                        "the same with {n} {new}",
                        "show {n} of them",
                        "but with {n} {new}",
                        "there should be {n} {new}",
                        "change the number to {n}",
                        "exactly {n} {new}",
                    ],
                    &[("{n}", number(n)), ("{new}", new), ("{old}", number(from.count))],
                );
                let gap = n.abs_diff(from.count);
                if n > from.count {
                    out.push(format!("add {} more {}", number(gap), if gap > 1 { plural(kind) } else { kind.word() }));
                } else {
                    out.push(format!("take {} {} away", number(gap), if gap > 1 { plural(kind) } else { kind.word() }));
                }
                out
            }
            Edit::Texture(t) => {
                let marks = match t {
                    Texture::Plain => "no pattern",
                    Texture::Striped => "stripes",
                    Texture::Dotted => "dots",
                };
                fill(
                    &[
                        "make the {thing} {t}",
                        "with {marks} on the {thing}",
                        "the same but {t}",
                        "the {thing} should be {t}",
                        "with {marks}",
                        "{t} instead",
                        "change the pattern to {t}",
                        "i want {marks} on {them}",
                    ],
                    &[("{t}", t.word()), ("{marks}", marks)],
                )
            }
            Edit::Size(s) => {
                let more = if s == Size::Big { ("bigger", "large") } else { ("smaller", "little") };
                fill(
                    &[
                        "make the {thing} {more}",
                        "{more}",
                        "the same with {a}",
                        "{s} instead",
                        "but much {more}",
                        "the {thing} should be {s}",
                        "change the size to {s}",
                        "{little} instead",
                    ],
                    &[
                        ("{more}", more.0),
                        ("{little}", more.1),
                        ("{s}", s.word()),
                        ("{a}", &a(&format!("{} {thing}", s.word()))),
                    ],
                )
            }
            Edit::AddCompanion(c) => {
                let a = article(&format!("{} {}", c.colour.word(), c.kind.word()));
                fill(
                    &[
                        "put {a} on the {side}",
                        "add {a} to the {side} of {them}",
                        "with {a} on the {side}",
                        "the same with {a} on {its} {side}",
                        "{a} should be on the {side} side",
                        "and {a} beside {them} on the {side}",
                    ],
                    &[("{a}", &a), ("{side}", c.side.word())],
                )
            }
            Edit::DropCompanion => {
                let other = from.companion.map_or("other thing", |c| c.kind.word());
                fill(
                    &[
                        "remove the {other}",
                        "without the {other}",
                        "take the {other} away",
                        "no {other} beside {them}",
                        "only the {thing}, no {other}",
                        "the same but leave out the {other}",
                    ],
                    &[("{other}", other)],
                )
            }
            Edit::PaintCompanion(c) => {
                let other = from.companion.map_or("other thing", |c| c.kind.word());
                fill(
                    &[
                        "make the {other} {c}",
                        "the {other} should be {c}",
                        "with a {c} {other} beside {them}",
                        "paint the {other} {c}",
                        "change the colour of the {other} to {c}",
                        "but the {other} is {c}",
                    ],
                    &[("a {c}", &article(c.word())), ("{c}", c.word()), ("{other}", other)],
                )
            }
            Edit::Place(p) => fill(
                &[
                    "move it {place}",
                    "the same {place}",
                    "{place} instead",
                    "let it happen {place}",
                    "but {place}",
                    "change the background, put it {place}",
                    "show this {place}",
                ],
                &[("{place}", place(p))],
            ),
            Edit::Light(l) => {
                let (at, is) = light(l);
                fill(
                    &[
                        "{at}",
                        "the same {at}",
                        "make it {is}",
                        "show this {at}",
                        "but {at}",
                        "{at} instead",
                        "change the light, make it {is}",
                    ],
                    &[("{at}", at), ("{is}", is)],
                )
            }
            Edit::Weather(w) => {
                let (when, adds) = match w {
                    Weather::Clear => ("in clear weather", "a clear sky"),
                    Weather::Rain => ("in the rain", "rain"),
                    Weather::Fog => ("in fog", "thick fog"),
                };
                fill(
                    &[
                        "{when}",
                        "the same {when}",
                        "with {adds}",
                        "change the weather to {adds}",
                        "but {when}",
                        "show this {when}",
                        "{adds} instead",
                    ],
                    &[("{when}", when), ("{adds}", adds)],
                )
            }
            Edit::Motion(m) => match m {
                Motion::Stays => fill(
                    &[
                        "the {thing} should stay where {it} {is}",
                        "let the {thing} stand still",
                        "but the {thing} not moving",
                        "stop the {thing} in the clip",
                        "a clip of the {thing} staying in place",
                    ],
                    &[],
                ),
                Motion::Left | Motion::Right => fill(
                    &[
                        "let the {thing} move to the {side}",
                        "moving to the {side}",
                        "make {them} go {side}",
                        "the {thing} should go to the {side}",
                        "but going {side}",
                        "a clip of the {thing} moving {side}",
                    ],
                    &[("{side}", m.word())],
                ),
                Motion::Rises => fill(
                    &[
                        "let the {thing} rise",
                        "rising into the air",
                        "make {them} go up",
                        "the {thing} should fly up",
                        "but going up",
                        "a clip of the {thing} rising",
                    ],
                    &[],
                ),
                Motion::Spins => fill(
                    &[
                        "let the {thing} spin",
                        "spinning around",
                        "make {them} turn around",
                        "the {thing} should be spinning",
                        "but spinning",
                        "a clip of the {thing} spinning",
                    ],
                    &[],
                ),
            },
            Edit::Camera(c) => match c {
                Camera::Steady => fill(
                    &[
                        "keep the camera steady",
                        "without zooming",
                        "the camera should not move",
                        "do not zoom",
                        "but with a steady camera",
                    ],
                    &[],
                ),
                Camera::ZoomsIn | Camera::ZoomsOut => {
                    let side = if c == Camera::ZoomsIn { "in" } else { "out" };
                    fill(
                        &[
                            "zoom {side}",
                            "the camera should zoom {side}",
                            "let the camera zoom {side}",
                            "with the camera zooming {side}",
                            "but zooming {side}",
                            "the same with a zoom {side}",
                        ],
                        &[("{side}", side)],
                    )
                }
            },
            Edit::Still => fill(
                &[
                    "as a still picture",
                    "a photo of this",
                    "make it a still picture",
                    "not a clip but a picture",
                    "one still frame, nothing moving",
                ],
                &[],
            ),
            Edit::Concept(c) => {
                let (whole, where_) = concept(c);
                fill(
                    &[
                        "{where}",
                        "the same {where}",
                        "make it {whole}",
                        "show this {where}",
                        "as {whole}",
                        "but {where}",
                        "turn this into {whole}",
                        "like this but {where}",
                        "i want {whole}",
                    ],
                    &[("{where}", where_), ("{whole}", whole)],
                )
            }
        }
    }

    /// One way to ask.
    pub fn phrase(self, from: &Key, rng: &mut Rng) -> String {
        rng.pick(&self.phrases(from)).clone()
    }
}

/// `red ball` → `a red ball`.
pub(crate) fn article(rest: &str) -> String {
    format!(
        "{} {rest}",
        if rest.starts_with(['a', 'e', 'i', 'o', 'u']) && !rest.starts_with("un") || rest.starts_with("umbrella") {
            "an"
        } else {
            "a"
        }
    )
}

pub(crate) fn number(n: u8) -> &'static str {
    ["no", "one", "two", "three", "four"][usize::from(n.min(4))]
}

pub(crate) fn plural(kind: Kind) -> &'static str {
    use Kind::*;
    match kind {
        Ball => "balls",
        Car => "cars",
        Boat => "boats",
        House => "houses",
        Tree => "trees",
        Cat => "cats",
        Dog => "dogs",
        Fish => "fishes",
        Bird => "birds",
        Cup => "cups",
        Umbrella => "umbrellas",
        Chair => "chairs",
        Mushroom => "mushrooms",
        Robot => "robots",
        Flower => "flowers",
        Rocket => "rockets",
    }
}

pub(crate) fn place(place: Place) -> &'static str {
    match place {
        Place::Meadow => "in a meadow",
        Place::Beach => "on a beach",
        Place::Desert => "in the desert",
        Place::Street => "in a city street",
        Place::Room => "in a living room",
        Place::Mountains => "in the mountains",
    }
}

pub(crate) fn light(light: Light) -> (&'static str, &'static str) {
    match light {
        Light::Day => ("in daylight", "day"),
        Light::Sunset => ("at sunset", "sunset"),
        Light::Night => ("at night", "night"),
    }
}

/// A concept as a thing and as a circumstance. Only modifications use these words, never captions.
pub(crate) fn concept(concept: Concept) -> (&'static str, &'static str) {
    match concept {
        Concept::Birthday => ("a birthday party", "at a birthday party"),
        Concept::Winter => ("a winter scene", "in winter"),
        Concept::Harbour => ("a harbour scene", "at a harbour"),
        Concept::Moon => ("a moon scene", "on the moon"),
        Concept::Camping => ("a camping trip", "on a camping trip"),
        Concept::Wedding => ("a wedding", "at a wedding"),
        Concept::Halloween => ("a halloween scene", "at halloween"),
        Concept::Autumn => ("an autumn scene", "in autumn"),
        Concept::Farm => ("a farm scene", "on a farm"),
        Concept::UnderWater => ("an underwater scene", "under water"),
    }
}
