//! What a scene is: what is to be seen in it, and what merely happens to be.

use crate::rng::Rng;
use serde::{Deserialize, Serialize};

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[allow(missing_docs)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($variant),* }

        impl $name {
            /// All there are, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// Its name in plain English.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }
        }
    };
}

named! {
    /// What a thing is.
    Kind {
        Ball = "ball", Car = "car", Boat = "boat", House = "house", Tree = "tree", Cat = "cat", Dog = "dog",
        Fish = "fish", Bird = "bird", Cup = "cup", Umbrella = "umbrella", Chair = "chair",
        Mushroom = "mushroom", Robot = "robot", Flower = "flower", Rocket = "rocket",
    }
}
named! {
    /// The colour of a thing's coloured part.
    Colour {
        Red = "red", Orange = "orange", Yellow = "yellow", Green = "green", Blue = "blue", Purple = "purple",
        Pink = "pink", White = "white", Black = "black",
    }
}
named! {
    /// What is on a thing's coloured part.
    Texture { Plain = "plain", Striped = "striped", Dotted = "dotted" }
}
named! {
    /// How large a thing is in the picture.
    Size { Small = "small", Big = "big" }
}
named! {
    /// Where it all happens.
    Place {
        Meadow = "meadow", Beach = "beach", Desert = "desert", Street = "city street", Room = "living room",
        Mountains = "mountains",
    }
}
named! {
    /// What light there is.
    Light { Day = "day", Sunset = "sunset", Night = "night" }
}
named! {
    /// What weather there is.
    Weather { Clear = "clear", Rain = "rain", Fog = "fog" }
}
named! {
    /// What the subject of a clip does.
    Motion { Stays = "stays", Left = "left", Right = "right", Rises = "rises", Spins = "spins" }
}
named! {
    /// What the camera of a clip does.
    Camera { Steady = "steady", ZoomsIn = "zooms in", ZoomsOut = "zooms out" }
}
named! {
    /// On which side of the subject the companion is.
    Side { Left = "left", Right = "right" }
}
named! {
    /// An idea that is never drawn as such: only some of its cues are.
    Concept {
        Birthday = "birthday party", Winter = "winter", Harbour = "harbour", Moon = "moon", Camping = "camping trip",
        Wedding = "wedding", Halloween = "halloween", Autumn = "autumn", Farm = "farm", UnderWater = "under water",
    }
}
named! {
    /// Something that hints at a concept.
    Cue {
        Balloons = "balloons", Cake = "a cake", Bunting = "bunting", Presents = "presents", Confetti = "confetti",
        Candles = "candles", PaperHats = "paper hats",
        SnowGround = "snow on the ground", Snowfall = "falling snow", Snowman = "a snowman", BareTrees = "bare trees",
        Icicles = "icicles", Sledge = "a sledge", FrozenPond = "a frozen pond",
        Crane = "a tall crane", Lighthouse = "a lighthouse", Containers = "containers", Gulls = "gulls",
        Pier = "a pier", Anchor = "an anchor", Buoy = "a buoy",
        Craters = "grey craters", StarrySky = "a black starry sky", Earth = "the earth in the sky", Flag = "a flag",
        Lander = "a lander", Astronaut = "an astronaut", Rover = "a rover",
        Tent = "a tent", Campfire = "a fire", Backpack = "a backpack", Lantern = "a lantern", Logs = "a pile of logs",
        SleepingBag = "a sleeping bag", Kettle = "a hanging kettle",
        RoseArch = "an arch of roses", Bells = "bells", Doves = "doves", Hearts = "hearts", Bouquet = "a bouquet",
        Carpet = "a red carpet", Rings = "gold rings",
        Pumpkins = "pumpkins", Ghost = "a ghost", Bats = "bats", Web = "a spider web", Graves = "gravestones",
        PointedHat = "a pointed hat", Skull = "a skull",
        LeafGround = "leaves on the ground", LeafFall = "falling leaves", GoldenTrees = "golden trees",
        Acorns = "acorns", Apples = "a basket of apples", Rake = "a rake", Hedgehog = "a hedgehog",
        Barn = "a barn", Tractor = "a tractor", Hay = "hay bales", Fence = "a wooden fence", Scarecrow = "a scarecrow",
        Cow = "a cow", Windmill = "a windmill",
        Bubbles = "bubbles", Seaweed = "seaweed", Coral = "coral", Starfish = "starfish", Jellyfish = "jellyfish",
        Chest = "a treasure chest", Shells = "shells",
    }
}

impl Concept {
    /// The seven cues of which a scene shows two or three.
    pub fn cues(self) -> &'static [Cue] {
        let at = 7 * self as usize;
        &Cue::ALL[at..at + 7]
    }
}

/// One drawn thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Thing {
    /// What it is.
    pub kind: Kind,
    /// The colour of its coloured part.
    pub colour: Colour,
    /// What is on its coloured part.
    pub texture: Texture,
    /// How large it is.
    pub size: Size,
}

/// A thing of another kind beside the subject; always one, plain and small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Companion {
    /// What it is.
    pub kind: Kind,
    /// Its colour.
    pub colour: Colour,
    /// Where it is, seen from the subject.
    pub side: Side,
}

/// What the words of a modification can speak about: two scenes with the same key are the same answer.
///
/// Not part of it: the choice of cues and everything that [`Scene::seed`] decides (exact positions,
/// tints, hills, clouds, the length of a clip).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// What it is about.
    pub subject: Thing,
    /// How many of it, 1 to 4.
    pub count: u8,
    /// What is beside it.
    pub companion: Option<Companion>,
    /// Where.
    pub place: Place,
    /// In what light.
    pub light: Light,
    /// In what weather.
    pub weather: Weather,
    /// The idea whose cues are around, if any.
    pub concept: Option<Concept>,
    /// What the subject and the camera do; `None` for a still picture.
    pub action: Option<(Motion, Camera)>,
}

/// A scene: its meaning, the cues that were chosen, and the seed of all that means nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// What it means.
    pub meaning: Key,
    /// Two or three cues of the concept; empty without one.
    pub cues: Vec<Cue>,
    /// Decides everything else.
    pub seed: u64,
}

/// Frames per second of every clip.
pub const FPS: f32 = 12.0;

impl Scene {
    /// A scene with this meaning; cues and nuisance are drawn from the generator.
    pub fn of(meaning: Key, rng: &mut Rng) -> Self {
        let mut cues = Vec::new();
        if let Some(concept) = meaning.concept {
            cues = concept.cues().to_vec();
            rng.shuffle(&mut cues);
            cues.truncate(2 + rng.below(2));
            cues.sort();
        }
        Self { meaning, cues, seed: rng.next() }
    }

    /// Its meaning: everything but nuisance and the choice of cues.
    pub fn key(&self) -> Key {
        self.meaning
    }

    /// Whether it moves.
    pub fn is_clip(&self) -> bool {
        self.meaning.action.is_some()
    }

    /// How many frames it has: 1, or two to four seconds' worth.
    pub fn frames(&self) -> usize {
        if self.is_clip() { 24 + Rng::keyed(self.seed, &[7]).below(25) } else { 1 }
    }

    /// Frames per second.
    pub fn fps(&self) -> f32 {
        FPS
    }
}
