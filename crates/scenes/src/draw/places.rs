//! Sky, ground and what belongs to a place.

use super::Layout;
use super::pen::{Pen, mix};
use crate::rng::Rng;
use crate::scene::{Cue, Light, Place, Scene, Weather};

/// Draws everything that lies behind.
pub fn paint(scene: &Scene, layout: &Layout, g: &mut Pen, rng: &mut Rng, time_secs: f32) {
    let m = &scene.meaning;
    let y = layout.horizon;
    let wobble = rng.range(-0.05, 0.12);
    let (high, low) = match m.light {
        Light::Day => (mix(0x4aa3ea, 0x7ac0ff, wobble.abs() * 5.0), 0xd2ecfb),
        Light::Sunset => (0x70408c, 0xffa04a),
        Light::Night => (0x070b26, 0x24305e),
    };
    let (high, low) =
        if m.weather == Weather::Clear { (high, low) } else { (mix(high, 0x8a8f98, 0.5), mix(low, 0xa8acb4, 0.45)) };
    if m.place == Place::Room {
        room(scene, high, low, layout, g, rng);
        return;
    }
    g.band(-80.0, y + 40.0, high, low);
    if scene.cues.contains(&Cue::StarrySky) {
        stars(g, rng, y + 40.0);
    } else {
        sky(m.light, m.weather, g, rng, time_secs, y);
    }
    let dim = |c: u32| match m.light {
        Light::Day => c,
        Light::Sunset => mix(c, 0x8a3a30, 0.28),
        Light::Night => mix(c, 0x101848, 0.5),
    };
    match m.place {
        Place::Meadow => {
            hills(g, rng, y, 14.0, dim(0x6fb558));
            g.band(y, 420.0, dim(0x86c95a), dim(0x4b9a3c));
            for _ in 0..26 {
                let (x, gy) = (rng.range(-60.0, 460.0), rng.range(y + 12.0, 300.0));
                g.l(&[(x - 3.0, gy - 6.0), (x, gy), (x + 3.0, gy - 7.0)], 1.5, dim(0x357a2c));
            }
            for _ in 0..10 {
                let (x, gy) = (rng.range(-60.0, 460.0), rng.range(y + 12.0, 300.0));
                g.c(x, gy, 2.4, dim(*rng.pick(&[0xffffff, 0xffe14a, 0xffb0d8])));
            }
        }
        Place::Beach => {
            let shore = y + rng.range(28.0, 40.0);
            g.band(y, shore + 8.0, dim(0x1f86c4), dim(0x4cc3dc));
            for i in 0..7 {
                let x = rng.range(-80.0, 440.0);
                g.l(&[(x, y + 6.0 + 4.0 * i as f32), (x + 34.0, y + 6.0 + 4.0 * i as f32)], 1.6, dim(0xd8f4ff));
            }
            g.band(shore, 420.0, dim(0xf6e0a6), dim(0xe2bf74));
            g.band(shore - 3.0, shore + 3.0, dim(0xffffff), dim(0xf6e0a6));
            let x = *rng.pick(&[-10.0, 410.0]) + rng.range(-20.0, 20.0);
            let lean = if x < 200.0 { 26.0 } else { -26.0 };
            g.arc((x, shore + 30.0), (x, shore - 40.0), (x + lean, shore - 86.0), 8.0, dim(0x8a6038));
            for (dx, dy) in [(-44.0, 6.0), (-30.0, -18.0), (0.0, -28.0), (32.0, -16.0), (46.0, 8.0)] {
                g.arc(
                    (x + lean, shore - 86.0),
                    (x + lean + dx * 0.6, shore - 86.0 + dy * 1.6 - 10.0),
                    (x + lean + dx, shore - 80.0 + dy + 12.0),
                    8.0,
                    dim(0x2e9a48),
                );
            }
        }
        Place::Desert => {
            let dune = dim(0xd79a4e);
            for i in 0..3 {
                g.e(
                    rng.range(0.0, 200.0) + 130.0 * i as f32,
                    y + 18.0,
                    rng.range(90.0, 150.0),
                    rng.range(22.0, 44.0),
                    dune,
                );
            }
            g.band(y + 10.0, 420.0, dim(0xe9b566), dim(0xd28f42));
            for _ in 0..7 {
                let (x, gy) = (rng.range(-40.0, 400.0), rng.range(y + 22.0, 300.0));
                g.arc((x, gy), (x + 22.0, gy - 6.0), (x + 48.0, gy), 1.6, dim(0xb67a34));
            }
            for _ in 0..2 {
                let (x, s) = (*rng.pick(&[28.0, 86.0, 318.0, 372.0]) + rng.range(-12.0, 12.0), rng.range(0.7, 1.0));
                let (gy, ink) = (y + 24.0, dim(0x3c8a4a));
                g.l(&[(x, gy), (x, gy - 52.0 * s)], 11.0 * s, ink);
                g.l(&[(x, gy - 20.0 * s), (x - 16.0 * s, gy - 20.0 * s), (x - 16.0 * s, gy - 36.0 * s)], 7.0 * s, ink);
                g.l(&[(x, gy - 26.0 * s), (x + 15.0 * s, gy - 26.0 * s), (x + 15.0 * s, gy - 44.0 * s)], 7.0 * s, ink);
            }
        }
        Place::Street => {
            let mut x = rng.range(-120.0, -90.0);
            while x < 500.0 {
                let (w, h) = (rng.range(44.0, 70.0), rng.range(60.0, 128.0));
                g.r(x, y + 14.0 - h, w - 3.0, h, dim(*rng.pick(&[0x9a8478, 0x7f8896, 0xb09a80, 0x8c7a8e, 0x74848a])));
                let lit = if m.light == Light::Day { 0xbcdcec } else { 0xffe08a };
                let mut wy = y + 22.0 - h;
                while wy < y - 2.0 {
                    for i in 0..(w as i32 / 15) {
                        let ink = if rng.chance(0.75) { lit } else { dim(0x4a5058) };
                        g.r(x + 5.0 + 14.0 * i as f32, wy, 8.0, 10.0, ink);
                    }
                    wy += 18.0;
                }
                x += w;
            }
            g.band(y + 12.0, y + 34.0, dim(0xb8b4ae), dim(0xa8a49e));
            g.band(y + 34.0, 420.0, dim(0x62646a), dim(0x4c4e54));
            let lane = rng.range(0.0, 60.0);
            for i in -2..9 {
                g.r(lane + 60.0 * i as f32, 272.0, 32.0, 6.0, dim(0xf4f0dc));
            }
        }
        Place::Mountains | Place::Room => {
            for (i, ink) in [dim(0x7d8aa4), dim(0x66748e)].into_iter().enumerate() {
                let mut x = rng.range(-140.0, -80.0);
                while x < 480.0 {
                    let (w, h) = (rng.range(120.0, 180.0), rng.range(76.0, 118.0) - 22.0 * i as f32);
                    g.p(&[(x, y + 8.0), (x + w * 0.5, y + 8.0 - h), (x + w, y + 8.0)], ink);
                    let t = 0.3;
                    g.p(
                        &[
                            (x + w * 0.5, y + 8.0 - h),
                            (x + w * (0.5 + 0.5 * t), y + 8.0 - h * (1.0 - t)),
                            (x + w * 0.52, y + 4.0 - h * (1.0 - t)),
                            (x + w * 0.44, y + 12.0 - h * (1.0 - t)),
                            (x + w * (0.5 - 0.5 * t), y + 8.0 - h * (1.0 - t)),
                        ],
                        dim(0xf2f6fa),
                    );
                    x += w * rng.range(0.55, 0.8);
                }
            }
            g.band(y + 4.0, 420.0, dim(0x8d9a78), dim(0x6c7458));
            for _ in 0..12 {
                let (x, gy) = (rng.range(-60.0, 460.0), rng.range(y + 20.0, 300.0));
                g.dome(x, gy, rng.range(5.0, 11.0), rng.range(4.0, 7.0), dim(0x8b8a88));
            }
        }
    }
}

fn hills(g: &mut Pen, rng: &mut Rng, y: f32, high: f32, ink: u32) {
    for i in 0..3 {
        g.e(
            rng.range(-40.0, 80.0) + 160.0 * i as f32,
            y + 6.0,
            rng.range(110.0, 170.0),
            high + rng.range(6.0, 26.0),
            ink,
        );
    }
}

fn sky(light: Light, weather: Weather, g: &mut Pen, rng: &mut Rng, time_secs: f32, y: f32) {
    let x = *rng.pick(&[70.0, 330.0]) + rng.range(-25.0, 25.0);
    match light {
        Light::Day if weather == Weather::Clear => {
            g.a = 0.4;
            g.c(x, 40.0, 30.0, 0xfff2b0);
            g.a = 1.0;
            g.c(x, 40.0, 21.0, 0xffe24a);
        }
        Light::Day => {}
        Light::Sunset => {
            g.a = 0.4;
            g.c(x, y - 14.0, 44.0, 0xffc060);
            g.a = 1.0;
            g.c(x, y - 12.0, 29.0, 0xff5a2a);
        }
        Light::Night => {
            for _ in 0..26 {
                let (x, y, r) = (rng.range(-80.0, 480.0), rng.range(-40.0, y - 20.0), rng.range(0.8, 1.9));
                g.c(x, y, r, 0xfff8d8);
            }
            g.c(x, 42.0, 19.0, 0xf6f0cc);
            g.c(x + 8.0, 37.0, 16.0, 0x10163a);
        }
    }
    let cloud = match light {
        Light::Day => 0xffffff,
        Light::Sunset => 0xe8a0a0,
        Light::Night => 0x3a4468,
    };
    let cloud = if weather == Weather::Rain { mix(cloud, 0x58606c, 0.6) } else { cloud };
    let many = if weather == Weather::Rain { 6 } else { 1 + rng.below(3) };
    for _ in 0..many {
        let (x, y, s) = (rng.range(-40.0, 420.0) + time_secs * 5.0, rng.range(20.0, 80.0), rng.range(0.7, 1.3));
        g.a = 0.88;
        for (dx, dy, r) in [(-22.0, 3.0, 11.0), (-6.0, -4.0, 15.0), (12.0, 0.0, 13.0), (26.0, 5.0, 9.0)] {
            g.c(x + dx * s, y + dy * s, r * s, cloud);
        }
        g.a = 1.0;
    }
}

/// A black sky full of stars, whatever the hour.
fn stars(g: &mut Pen, rng: &mut Rng, down: f32) {
    g.band(-80.0, down, 0x020208, 0x0a0a16);
    for _ in 0..50 {
        let (x, y, r) = (rng.range(-90.0, 490.0), rng.range(-50.0, down - 40.0), rng.range(1.2, 2.6));
        g.c(x, y, r, 0xffffff);
    }
    for _ in 0..6 {
        g.star(rng.range(0.0, 400.0), rng.range(10.0, down - 60.0), 6.5, 0xffffff);
    }
}

fn room(scene: &Scene, high: u32, low: u32, layout: &Layout, g: &mut Pen, rng: &mut Rng) {
    let light = scene.meaning.light;
    let floor = layout.horizon + 34.0;
    let wall = *rng.pick(&[0xe6d3b4, 0xd4c6d8, 0xc8dacb, 0xe4c4b4]);
    let dim = |c: u32| match light {
        Light::Day => c,
        Light::Sunset => mix(c, 0xa04a30, 0.32),
        Light::Night => mix(c, 0x141c44, 0.5),
    };
    g.band(-80.0, floor, dim(wall), dim(mix(wall, 0xffffff, 0.2)));
    for i in -6..26 {
        g.r(22.0 * i as f32, -80.0, 2.0, floor + 80.0, dim(mix(wall, 0xffffff, 0.35)));
    }
    if scene.cues.contains(&Cue::StarrySky) {
        stars(g, rng, floor);
    }
    let (x, w) = (rng.range(90.0, 130.0), rng.range(160.0, 180.0));
    g.r(x - 7.0, 19.0, w + 14.0, 108.0, dim(0xfaf4e8));
    let mut y = 26.0;
    while y < 120.0 {
        g.r(x, y, w, 8.0, mix(high, low, (y - 26.0) / 94.0));
        y += 7.0;
    }
    match light {
        Light::Day | Light::Sunset if scene.meaning.weather != Weather::Clear => {}
        Light::Day => g.c(x + w * 0.75, 48.0, 13.0, 0xffe24a),
        Light::Sunset => g.c(x + w * 0.75, 98.0, 18.0, 0xff5a2a),
        Light::Night => {
            for _ in 0..9 {
                g.c(x + rng.range(4.0, w - 4.0), rng.range(30.0, 110.0), 1.6, 0xfff8d8);
            }
            g.c(x + w * 0.75, 48.0, 12.0, 0xf6f0cc);
        }
    }
    g.r(x + w * 0.5 - 2.5, 24.0, 5.0, 98.0, dim(0xfaf4e8));
    g.r(x, 70.0, w, 4.0, dim(0xfaf4e8));
    let curtain = dim(*rng.pick(&[0xb04a4a, 0x4a6ab0, 0x5a8a5a]));
    g.p(&[(x - 30.0, 14.0), (x + 14.0, 14.0), (x - 6.0, 134.0), (x - 30.0, 134.0)], curtain);
    g.p(&[(x + w + 30.0, 14.0), (x + w - 14.0, 14.0), (x + w + 6.0, 134.0), (x + w + 30.0, 134.0)], curtain);
    g.band(floor - 6.0, floor, dim(0xfaf4e8), dim(0xfaf4e8));
    g.band(floor, 420.0, dim(0xb98a56), dim(0x96683a));
    for i in 1..6 {
        let gy = floor + 5.0 * i as f32 * i as f32 * 0.7;
        g.band(gy, gy + 1.5, dim(0x80562e), dim(0x80562e));
    }
    g.e(200.0, 256.0, 150.0, 28.0, dim(*rng.pick(&[0xa85a5a, 0x5a7aa8, 0x7a9a6a])));
    g.e(200.0, 256.0, 128.0, 21.0, dim(0xe2d4b8));
    // A sofa at one side says at once what room this is.
    let (s, ink) = (*rng.pick(&[18.0, 300.0]), dim(*rng.pick(&[0x6a4a7a, 0x3e6a70, 0x8a5a3a])));
    g.r(s, floor - 34.0, 84.0, 34.0, ink);
    g.r(s - 8.0, floor - 20.0, 14.0, 36.0, mix(ink, 0, 0.15));
    g.r(s + 78.0, floor - 20.0, 14.0, 36.0, mix(ink, 0, 0.15));
    g.r(s, floor - 8.0, 84.0, 20.0, mix(ink, 0xffffff, 0.2));
}
