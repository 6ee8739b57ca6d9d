//! A scene becomes pixels: the one function, and how a scene is laid out.
//!
//! Everything is laid out on a sheet of 400 × 300 units, y down, and scaled to the frame.

mod cues;
mod pen;
mod places;
mod things;

use crate::rng::Rng;
use crate::scene::{Camera, Cue, Kind, Light, Motion, Place, Scene, Side, Size, Texture, Thing, Weather};
use pen::Pen;
use tiny_skia::{Pixmap, Transform};

/// Draws the scene as it is at a moment, in seconds from its start. Pure: the same in, the same out.
///
/// Frames are 4:3 at heart; another shape shows the scene squeezed. Sizes of 0 are drawn as 1.
pub fn draw(scene: &Scene, time_secs: f32, width: u32, height: u32) -> media::Frame {
    let (width, height) = (width.clamp(1, 8192), height.clamp(1, 8192));
    let mut sheet = Pixmap::new(width, height).expect("a size from 1 to 8192 is a size that can be drawn");
    let zoom = Transform::from_scale(width as f32 / 400.0, height as f32 / 300.0);
    paint(scene, time_secs, &mut sheet, zoom);
    let rgb = sheet.data().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
    media::Frame { width, height, rgb }
}

/// Where on the sheet things stand; redrawn for every scene.
pub(crate) struct Layout {
    pub horizon: f32,
    pub ground: f32,
    pub middle: f32,
}

fn paint(scene: &Scene, time_secs: f32, sheet: &mut Pixmap, zoom: Transform) {
    let m = &scene.meaning;
    let mut rng = Rng::keyed(scene.seed, &[1]);
    let last = (scene.frames() as f32 - 1.0).max(1.0) / scene.fps();
    // How far the clip is, 0 to 1; a still picture is at its beginning.
    let progress = if scene.is_clip() { (time_secs / last).clamp(0.0, 1.0) } else { 0.0 };
    let (motion, camera) = m.action.unwrap_or((Motion::Stays, Camera::Steady));
    let scale = match camera {
        Camera::Steady => 1.0,
        Camera::ZoomsIn => 0.7 + 0.9 * progress,
        Camera::ZoomsOut => 1.6 - 0.9 * progress,
    };
    let view = zoom.pre_translate(200.0, 190.0).pre_scale(scale, scale).pre_translate(-200.0, -190.0);
    let layout = Layout {
        horizon: rng.range(140.0, 175.0),
        ground: rng.range(238.0, 252.0),
        middle: 200.0 + rng.range(-14.0, 14.0),
    };
    let mut pen = Pen::new(sheet, view);
    places::paint(scene, &layout, &mut pen, &mut Rng::keyed(scene.seed, &[2]), time_secs);
    mist(scene, &mut pen, time_secs);
    cues::paint_behind(scene, &layout, &mut pen, time_secs);
    things_of(scene, &layout, &mut pen, motion, progress, &mut rng);
    cues::paint_before(scene, &layout, &mut pen, time_secs);
    weather(scene, &mut pen, time_secs);
}

/// How high a companion is drawn, before its kind's tallness.
const FRIEND: f32 = 72.0;
/// How far from the subject it stands.
const GAP: f32 = 8.0;

/// How high a thing is drawn.
fn height_of(size: Size, count: u8, kind: Kind) -> f32 {
    let n = usize::from(count.clamp(1, 4)) - 1;
    let h = match size {
        Size::Big => [124.0, 100.0, 88.0, 80.0][n],
        Size::Small => [66.0, 60.0, 54.0, 48.0][n],
    };
    h * things::tallness(kind)
}

fn things_of(scene: &Scene, layout: &Layout, pen: &mut Pen, motion: Motion, progress: f32, rng: &mut Rng) {
    let m = &scene.meaning;
    let mut h = height_of(m.subject.size, m.count, m.subject.kind);
    let friend_high = m.companion.map_or(0.0, |c| FRIEND * things::tallness(c.kind));
    let friend_half = m.companion.map_or(0.0, |c| friend_high * things::wideness(c.kind) * 0.5);
    // A row too wide for the sheet is drawn smaller, so that nothing hides the companion.
    let columns = [1.0, 2.0, 3.0, 2.2][usize::from(m.count.clamp(1, 4)) - 1];
    let room = 384.0 - if m.companion.is_some() { 2.0 * friend_half + GAP } else { 0.0 };
    h = h.min(room / (columns * 1.06 * things::wideness(m.subject.kind)));
    let step = h * things::wideness(m.subject.kind) * 1.06;
    // Up to three in a row; four stand in two rows so that they can be counted.
    let spots: Vec<(f32, f32)> = match m.count {
        2 => vec![(-0.5, 0.0), (0.5, 0.0)],
        3 => vec![(-1.0, 0.0), (0.0, 4.0), (1.0, 0.0)],
        4 => vec![(-0.4, -h * 0.86), (0.6, -h * 0.86), (-0.6, 8.0), (0.4, 8.0)],
        _ => vec![(0.0, 0.0)],
    };
    let wide = spots.iter().map(|s| s.0).fold(0.0, f32::max) * step + step * 0.5;
    let mut middle = layout.middle;
    let friend = m.companion.map(|c| {
        let thing = Thing { kind: c.kind, colour: c.colour, texture: Texture::Plain, size: Size::Small };
        let sign = if c.side == Side::Left { -1.0 } else { 1.0 };
        middle -= sign * (friend_half + GAP * 0.5);
        let x = (middle + sign * (wide + friend_half + GAP)).clamp(friend_half + 4.0, 396.0 - friend_half);
        (thing, x)
    });
    if let Some((thing, x)) = friend {
        things::paint(&thing, x, layout.ground + rng.range(-2.0, 10.0), friend_high, 0.0, 0.0, pen, rng);
    }
    let travel = (progress - 0.5) * 260.0;
    let (dx, dy, angle) = match motion {
        Motion::Stays => (0.0, 0.0, 0.0),
        Motion::Left => (-travel, 0.0, 0.0),
        Motion::Right => (travel, 0.0, 0.0),
        Motion::Rises => (0.0, 24.0 - 124.0 * progress, 0.0),
        // At a quarter and three quarters of the way it lies on one side and then on the other.
        Motion::Spins => (0.0, 0.0, 30.0 + 360.0 * progress),
    };
    let tint = Rng::keyed(scene.seed, &[3]);
    for (x, y) in spots {
        let (jx, jy) = (rng.range(-2.0, 2.0), rng.range(-2.0, 2.0));
        let (x, y) = (middle + x * step + dx + jx, layout.ground + y + jy);
        things::paint(&m.subject, x, y, h, dy, angle, pen, &mut tint.clone());
    }
}

fn mist_of(light: Light) -> u32 {
    if light == Light::Night { 0x8e96aa } else { 0xe8e8ea }
}

/// Fog that lies behind subject and cues: the background nearly goes.
fn mist(scene: &Scene, pen: &mut Pen, time_secs: f32) {
    if scene.meaning.weather != Weather::Fog {
        return;
    }
    let mut rng = Rng::keyed(scene.seed, &[8]);
    let ink = mist_of(scene.meaning.light);
    // A black sky that is a cue must stay one.
    let thick = if scene.cues.contains(&Cue::StarrySky) { 0.4 } else { 1.0 };
    pen.veil(ink, 0.5 * thick);
    pen.a = 0.4 * thick;
    for i in 0..4 {
        let x = rng.range(0.0, 400.0) + time_secs * 8.0;
        pen.e(x, 60.0 + 50.0 * i as f32, rng.range(150.0, 230.0), 18.0, ink);
    }
    pen.a = 1.0;
}

fn weather(scene: &Scene, pen: &mut Pen, time_secs: f32) {
    let m = &scene.meaning;
    let mut rng = Rng::keyed(scene.seed, &[4]);
    let shade = match m.light {
        Light::Day => (0xffffff, 0.0),
        Light::Sunset => (0xff6a20, 0.10),
        Light::Night => (0x0a1246, 0.22),
    };
    pen.veil(shade.0, shade.1);
    match m.weather {
        Weather::Clear => {}
        Weather::Fog => {
            // Thin enough that colours can still be told.
            pen.veil(mist_of(m.light), 0.10);
            pen.a = 0.34;
            for y in [214.0, 268.0] {
                let x = rng.range(0.0, 400.0) + time_secs * 8.0;
                pen.e(x, y, rng.range(130.0, 190.0), 11.0, mist_of(m.light));
            }
            pen.a = 1.0;
        }
        Weather::Rain => {
            pen.veil(0x56687c, 0.22);
            let room = m.place == Place::Room;
            pen.a = if room { 0.55 } else { 0.85 };
            for _ in 0..64 {
                let (x, y) = (rng.range(-60.0, 440.0), rng.range(0.0, 330.0));
                let y = (y + time_secs * 260.0) % 330.0 - 15.0;
                pen.l(&[(x, y), (x - 7.0, y + 24.0)], 2.2, 0xcfe4ff);
            }
            pen.a = 1.0;
        }
    }
}
