//! What a scene shows, in words: everything that can be seen, never the idea behind it.

use crate::edit::{article, light, number, place, plural};
use crate::rng::Rng;
use crate::scene::{Camera, Light, Motion, Scene, Size, Texture, Weather};

impl Scene {
    /// This many captions of the scene, all true, in different words and orders.
    pub fn captions(&self, seed: u64, n: usize) -> Vec<String> {
        (0..n).map(|i| self.caption(&mut Rng::keyed(seed, &[self.seed, i as u64]))).collect()
    }

    fn caption(&self, rng: &mut Rng) -> String {
        let m = &self.meaning;
        let many = m.count > 1;
        let mut noun = Vec::new();
        noun.push(match m.subject.size {
            Size::Big => *rng.pick(&["big", "large"]),
            Size::Small => *rng.pick(&["small", "little"]),
        });
        match m.subject.texture {
            Texture::Plain if rng.chance(0.75) => {}
            texture => noun.push(texture.word()),
        }
        noun.push(m.subject.colour.word());
        noun.push(if many { plural(m.subject.kind) } else { m.subject.kind.word() });
        let noun = noun.join(" ");
        let subject = match m.count {
            1 if rng.chance(0.8) => article(&noun),
            n => format!("{} {noun}", number(n)),
        };
        let companion = m.companion.map(|c| {
            let thing = article(&format!("{} {}", c.colour.word(), c.kind.word()));
            let side = c.side.word();
            match rng.below(3) {
                0 => format!("with {thing} on the {side}"),
                1 => format!("and {thing} to the {side}"),
                _ => format!("beside {thing} on the {side}"),
            }
        });
        let place = place(m.place).to_owned();
        let light = (m.light != Light::Day || rng.chance(0.4)).then(|| light(m.light).0.to_owned());
        let weather = match m.weather {
            Weather::Clear => rng.chance(0.25).then(|| "in clear weather".to_owned()),
            Weather::Rain => Some((*rng.pick(&["in the rain", "while it rains"])).to_owned()),
            Weather::Fog => Some((*rng.pick(&["in fog", "in thick fog"])).to_owned()),
        };
        let mut names: Vec<_> = self.cues.iter().map(|c| c.word()).collect();
        rng.shuffle(&mut names);
        let cues = names.split_last().map(|(last, rest)| {
            let list = if rest.is_empty() { (*last).to_owned() } else { format!("{} and {last}", rest.join(", ")) };
            match rng.below(3) {
                0 => format!("with {list} around"),
                1 => format!("there {} {list}", if many || names.len() > 1 { "are" } else { "is" }),
                _ => format!("with {list}"),
            }
        });
        let does = m.action.map(|(motion, camera)| {
            let motion = match motion {
                Motion::Stays => (camera == Camera::Steady || rng.chance(0.5)).then_some("staying in place"),
                Motion::Left => Some(*rng.pick(&["moving to the left", "going left"])),
                Motion::Right => Some(*rng.pick(&["moving to the right", "going right"])),
                Motion::Rises => Some(*rng.pick(&["rising into the air", "going up"])),
                Motion::Spins => Some(*rng.pick(&["spinning around", "turning around"])),
            };
            let camera = match camera {
                Camera::Steady => rng.chance(0.2).then_some("with a steady camera"),
                Camera::ZoomsIn => Some(*rng.pick(&["the camera zooms in", "zooming in"])),
                Camera::ZoomsOut => Some(*rng.pick(&["the camera zooms out", "zooming out"])),
            };
            [motion, camera].into_iter().flatten().collect::<Vec<_>>().join(", ")
        });
        let does = does.filter(|d| !d.is_empty());
        let around = [light, weather].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let join = |parts: &[Option<String>], by: &str| {
            parts.iter().flatten().filter(|p| !p.is_empty()).cloned().collect::<Vec<_>>().join(by)
        };
        let start = match (self.is_clip(), rng.below(5)) {
            (true, 0) => "a clip of ",
            (false, 0) => "a picture of ",
            _ => "",
        };
        match rng.below(4) {
            0 => {
                let head = join(&[Some(format!("{start}{subject}")), companion, Some(place), Some(around)], " ");
                join(&[Some(head), cues, does], ", ")
            }
            1 => {
                let head = join(&[Some(format!("{start}{subject}")), does], " ");
                let scene = join(&[Some(place), Some(around)], " ");
                join(&[Some(head), Some(scene), companion, cues], ", ")
            }
            2 => {
                let head = join(&[Some(place), Some(around)], " ");
                let what = join(&[Some(subject), companion], " ");
                join(&[Some(head), Some(what), does, cues], ", ")
            }
            _ => {
                let head = join(&[Some(format!("{start}{subject}")), companion], " ");
                let scene = join(&[Some(place), Some(around)], " ");
                join(&[Some(head), cues, Some(scene), does], ", ")
            }
        }
    }
}
