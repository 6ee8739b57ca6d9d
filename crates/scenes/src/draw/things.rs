//! The kinds of things, one by one: each stands on (0, 0), is 1 high, and has a silhouette of its own.

use super::pen::{BODY, Body, Pen, SHADE, mix};
use crate::rng::Rng;
use crate::scene::{Colour, Kind, Texture, Thing};
use tiny_skia::{FillRule, Paint, PathBuilder, Pixmap, Transform};

/// Draws a thing over a place on the ground, so high, lifted by so much (down is positive), turned about its middle.
pub fn paint(thing: &Thing, x: f32, y: f32, high: f32, lift: f32, degrees: f32, pen: &mut Pen, rng: &mut Rng) {
    pen.a = 0.22;
    if degrees == 0.0 {
        pen.e(x, y, high * wideness(thing.kind) * 0.5, high * 0.06 + 2.0, 0x101018);
    }
    pen.a = 1.0;
    pen.body = Some(body_of(thing, rng));
    pen.within(x, y + lift - high * 0.5, high, degrees, |pen| {
        pen.within(0.0, 0.5, 1.0, 0.0, |pen| shape(thing.kind, pen));
    });
    pen.body = None;
}

/// How wide a kind is, where it is 1 high.
pub fn wideness(kind: Kind) -> f32 {
    match kind {
        Kind::Car => 1.9,
        Kind::Fish => 1.6,
        Kind::Dog => 1.3,
        Kind::Bird => 1.3,
        Kind::Boat | Kind::Umbrella | Kind::House | Kind::Cup | Kind::Mushroom => 1.1,
        Kind::Ball => 1.0,
        Kind::Tree | Kind::Robot | Kind::Cat => 0.8,
        Kind::Chair | Kind::Flower | Kind::Rocket => 0.7,
    }
}

/// How high a kind is drawn beside the others: wide ones are lower.
pub fn tallness(kind: Kind) -> f32 {
    match kind {
        Kind::Car => 0.66,
        Kind::Fish => 0.72,
        Kind::Dog | Kind::Bird => 0.86,
        Kind::Ball | Kind::Cup => 0.85,
        Kind::Boat | Kind::House | Kind::Umbrella => 1.0,
        Kind::Mushroom => 0.95,
        Kind::Tree | Kind::Rocket | Kind::Flower | Kind::Robot | Kind::Cat | Kind::Chair => 1.1,
    }
}

fn body_of(thing: &Thing, rng: &mut Rng) -> Body {
    let base = match thing.colour {
        Colour::Red => 0xd8262a,
        Colour::Orange => 0xf7861a,
        Colour::Yellow => 0xf9dc22,
        Colour::Green => 0x28a646,
        Colour::Blue => 0x2660de,
        Colour::Purple => 0x8436be,
        Colour::Pink => 0xf78cc2,
        Colour::White => 0xf8f8f8,
        Colour::Black => 0x242428,
    };
    // A slightly different tint every time.
    let towards = *rng.pick(&[0xffffff, 0x000000, 0xff8080, 0x80ff80, 0x8080ff]);
    let colour = mix(base, towards, rng.range(0.0, 0.07));
    let edge = if thing.colour == Colour::Black { 0x77777f } else { mix(colour, 0x101020, 0.6) };
    let shade = if thing.colour == Colour::Black { 0x4a4a52 } else { mix(colour, 0x101020, 0.3) };
    let light = matches!(thing.colour, Colour::White | Colour::Yellow | Colour::Pink);
    let other = if light { mix(colour, 0x202028, 0.62) } else { 0xffffff };
    let tile = match thing.texture {
        Texture::Plain => None,
        Texture::Striped => Some((tile(colour, other, false), 0.26)),
        Texture::Dotted => Some((tile(colour, other, true), 0.25)),
    };
    Body { colour, shade, edge, tile }
}

fn tile(ground: u32, mark: u32, dots: bool) -> Pixmap {
    let mut tile = Pixmap::new(32, 32).expect("32 pixels square is a size");
    tile.fill(super::pen::colour(ground, 1.0));
    let mut paint = Paint::default();
    paint.set_color(super::pen::colour(mark, 1.0));
    let path = if dots {
        PathBuilder::from_circle(16.0, 16.0, 9.5)
    } else {
        tiny_skia::Rect::from_xywh(9.0, 0.0, 14.0, 32.0).map(PathBuilder::from_rect)
    };
    if let Some(path) = path {
        tile.fill_path(&path, &paint, FillRule::Winding, Transform::identity(), None);
    }
    tile
}

fn shape(kind: Kind, g: &mut Pen) {
    match kind {
        Kind::Ball => {
            g.c(0.0, -0.5, 0.49, BODY);
            g.arc((-0.46, -0.62), (0.0, -0.25), (0.46, -0.62), 0.035, SHADE);
            g.arc((-0.16, -0.04), (0.2, -0.5), (-0.12, -0.96), 0.035, SHADE);
            g.a = 0.7;
            g.e(-0.19, -0.74, 0.1, 0.07, 0xffffff);
            g.a = 1.0;
        }
        Kind::Car => {
            g.p(&[(-0.58, -0.52), (-0.36, -1.0), (0.3, -1.0), (0.58, -0.52)], BODY);
            g.p(&[(-0.44, -0.56), (-0.29, -0.88), (-0.04, -0.88), (-0.04, -0.56)], 0xcdeaf8);
            g.p(&[(0.04, -0.56), (0.04, -0.88), (0.24, -0.88), (0.42, -0.56)], 0xcdeaf8);
            g.blob(
                &[
                    (-0.98, -0.56),
                    (0.98, -0.6),
                    (0.98, -0.14),
                    (0.6, -0.14),
                    (0.0, -0.14),
                    (-0.6, -0.14),
                    (-0.98, -0.14),
                    (-0.98, -0.4),
                ],
                BODY,
            );
            g.r(-0.9, -0.56, 1.8, 0.4, BODY);
            for x in [-0.52, 0.52] {
                g.c(x, -0.2, 0.21, 0x1c1c20);
                g.c(x, -0.2, 0.1, 0xb8bcc4);
            }
            g.e(0.86, -0.44, 0.06, 0.07, 0xfff2a0);
            g.e(-0.87, -0.44, 0.04, 0.06, 0xff5040);
        }
        Kind::Boat => {
            g.l(&[(0.02, -0.24), (0.02, -1.0)], 0.045, 0x5b3a22);
            g.p(&[(-0.03, -0.97), (-0.03, -0.32), (-0.52, -0.32)], BODY);
            g.p(&[(0.08, -0.9), (0.08, -0.32), (0.46, -0.32)], BODY);
            g.p(&[(-0.56, -0.25), (0.6, -0.25), (0.4, 0.0), (-0.4, 0.0)], 0x8a5530);
            g.r(-0.5, -0.2, 1.02, 0.05, 0xf0e2c8);
        }
        Kind::House => {
            g.r(-0.44, -0.6, 0.88, 0.6, BODY);
            g.r(0.2, -0.94, 0.12, 0.25, 0x7a4534);
            g.p(&[(-0.56, -0.58), (0.0, -1.0), (0.56, -0.58)], 0x7a3b2a);
            g.r(-0.09, -0.33, 0.2, 0.33, 0x4a2e1c);
            for x in [-0.36, 0.18] {
                g.r(x, -0.46, 0.19, 0.19, 0xfdf6d8);
                g.r(x + 0.02, -0.44, 0.15, 0.15, 0x8fd0f0);
            }
        }
        Kind::Tree => {
            g.r(-0.07, -0.24, 0.14, 0.24, 0x6b4326);
            g.p(&[(-0.4, -0.18), (0.4, -0.18), (0.0, -0.6)], BODY);
            g.p(&[(-0.33, -0.43), (0.33, -0.43), (0.0, -0.82)], BODY);
            g.p(&[(-0.24, -0.68), (0.24, -0.68), (0.0, -1.0)], BODY);
        }
        Kind::Cat => {
            g.arc((0.18, -0.06), (0.62, -0.06), (0.36, -0.42), 0.1, SHADE);
            g.blob(&[(-0.16, -0.62), (0.16, -0.62), (0.34, 0.03), (0.0, 0.03), (-0.34, 0.03)], BODY);
            g.p(&[(-0.3, -0.72), (-0.29, -1.0), (-0.05, -0.86)], BODY);
            g.p(&[(0.3, -0.72), (0.29, -1.0), (0.05, -0.86)], BODY);
            g.e(0.0, -0.66, 0.31, 0.25, BODY);
            for x in [-0.12, 0.12] {
                g.e(x, -0.69, 0.06, 0.075, 0xe9f57a);
                g.e(x, -0.69, 0.022, 0.065, 0x101010);
                g.l(&[(x * 1.2, -0.57), (x * 3.3, -0.61)], 0.016, 0x555555);
                g.l(&[(x * 1.2, -0.55), (x * 3.2, -0.51)], 0.016, 0x555555);
            }
            g.p(&[(-0.04, -0.61), (0.04, -0.61), (0.0, -0.56)], 0xf07090);
            g.l(&[(-0.08, -0.02), (-0.08, -0.2)], 0.025, SHADE);
            g.l(&[(0.08, -0.02), (0.08, -0.2)], 0.025, SHADE);
        }
        Kind::Dog => {
            g.arc((-0.5, -0.55), (-0.72, -0.66), (-0.66, -0.92), 0.09, SHADE);
            for x in [-0.46, -0.28, 0.16, 0.32] {
                g.r(x, -0.36, 0.13, 0.36, BODY);
            }
            g.blob(&[(-0.6, -0.68), (0.0, -0.66), (0.5, -0.7), (0.52, -0.26), (0.0, -0.24), (-0.6, -0.24)], BODY);
            g.blob(
                &[(0.2, -1.02), (0.52, -1.04), (0.6, -0.8), (0.84, -0.78), (0.84, -0.52), (0.5, -0.5), (0.22, -0.55)],
                BODY,
            );
            g.blob(&[(0.18, -1.0), (0.38, -0.98), (0.36, -0.5), (0.16, -0.5)], SHADE);
            g.c(0.52, -0.82, 0.045, 0x101010);
            g.c(0.77, -0.72, 0.065, 0x101010);
            g.l(&[(0.26, -0.5), (0.46, -0.46)], 0.05, 0xd83030);
        }
        Kind::Fish => {
            g.p(&[(-0.4, -0.5), (-0.8, -0.95), (-0.72, -0.5), (-0.8, -0.05)], BODY);
            g.p(&[(-0.2, -0.85), (0.1, -1.06), (0.3, -0.8)], SHADE);
            g.p(&[(-0.1, -0.15), (0.0, 0.04), (0.2, -0.15)], SHADE);
            g.e(0.14, -0.5, 0.64, 0.4, BODY);
            g.c(0.5, -0.6, 0.09, 0xffffff);
            g.c(0.52, -0.6, 0.05, 0x101010);
            g.arc((0.3, -0.8), (0.18, -0.5), (0.3, -0.2), 0.035, SHADE);
            g.l(&[(0.76, -0.42), (0.62, -0.38)], 0.03, 0x402020);
        }
        Kind::Bird => {
            g.l(&[(-0.05, -0.24), (-0.08, 0.0)], 0.04, 0xe08a10);
            g.l(&[(0.12, -0.24), (0.14, 0.0)], 0.04, 0xe08a10);
            g.p(&[(-0.3, -0.5), (-0.68, -0.72), (-0.62, -0.4)], SHADE);
            g.blob(&[(-0.5, -0.56), (0.0, -0.72), (0.44, -0.74), (0.5, -0.2), (0.0, -0.14), (-0.36, -0.28)], BODY);
            g.c(0.32, -0.76, 0.22, BODY);
            g.p(&[(0.5, -0.84), (0.74, -0.72), (0.5, -0.68)], 0xf5a21a);
            g.c(0.38, -0.8, 0.05, 0xffffff);
            g.c(0.39, -0.8, 0.03, 0x101010);
            g.blob(&[(-0.44, -0.86), (-0.1, -0.62), (0.2, -0.56), (0.1, -0.34), (-0.2, -0.36)], SHADE);
        }
        Kind::Cup => {
            g.o(0.42, -0.48, 0.19, 0.2, 0.08, SHADE);
            g.e(0.0, -0.05, 0.56, 0.07, 0xe6e6ea);
            g.blob(
                &[
                    (-0.42, -0.86),
                    (0.0, -0.8),
                    (0.42, -0.86),
                    (0.42, -0.3),
                    (0.3, -0.02),
                    (0.0, -0.02),
                    (-0.3, -0.02),
                    (-0.42, -0.3),
                ],
                BODY,
            );
            g.e(0.0, -0.8, 0.4, 0.08, BODY);
            g.e(0.0, -0.79, 0.33, 0.05, 0x5a3418);
            g.a = 0.8;
            for x in [-0.14, 0.1] {
                g.arc((x, -0.86), (x + 0.1, -0.95), (x, -1.08), 0.035, 0xffffff);
            }
            g.a = 1.0;
        }
        Kind::Umbrella => {
            g.l(&[(0.0, -0.94), (0.0, -0.1)], 0.045, 0x4a3526);
            g.arc((0.0, -0.1), (0.03, 0.04), (0.16, -0.1), 0.045, 0x4a3526);
            g.l(&[(0.0, -1.0), (0.0, -0.93)], 0.04, 0x4a3526);
            g.dome(0.0, -0.46, 0.55, 0.5, BODY);
            for x in [-0.44, -0.22, 0.0, 0.22, 0.44] {
                g.dome(x, -0.45, 0.11, 0.06, SHADE);
            }
            g.arc((-0.2, -0.47), (-0.16, -0.8), (0.0, -0.96), 0.025, SHADE);
            g.arc((0.2, -0.47), (0.16, -0.8), (0.0, -0.96), 0.025, SHADE);
        }
        Kind::Chair => {
            g.r(-0.27, -0.46, 0.08, 0.46, SHADE);
            g.r(0.21, -0.46, 0.08, 0.46, SHADE);
            g.r(-0.12, -0.4, 0.06, 0.32, SHADE);
            g.r(0.1, -0.4, 0.06, 0.32, SHADE);
            g.r(-0.3, -1.0, 0.13, 0.56, SHADE);
            g.p(&[(-0.3, -1.0), (0.16, -0.96), (0.16, -0.58), (-0.3, -0.58)], BODY);
            g.r(-0.32, -0.52, 0.66, 0.15, BODY);
        }
        Kind::Mushroom => {
            g.blob(&[(-0.2, -0.56), (0.2, -0.56), (0.26, 0.02), (0.0, 0.03), (-0.26, 0.02)], 0xf3e6cc);
            g.l(&[(-0.09, -0.1), (-0.07, -0.4)], 0.025, 0xd6c4a0);
            g.e(0.0, -0.44, 0.5, 0.1, 0xe0cfae);
            g.dome(0.0, -0.44, 0.55, 0.56, BODY);
        }
        Kind::Robot => {
            g.l(&[(0.0, -0.9), (0.0, -1.0)], 0.03, 0x777780);
            g.c(0.0, -0.99, 0.045, 0xff4040);
            g.r(-0.24, -0.22, 0.14, 0.2, 0x777780);
            g.r(0.1, -0.22, 0.14, 0.2, 0x777780);
            g.r(-0.29, -0.06, 0.22, 0.06, 0x505058);
            g.r(0.07, -0.06, 0.22, 0.06, 0x505058);
            g.l(&[(-0.26, -0.52), (-0.38, -0.38), (-0.36, -0.24)], 0.08, 0x777780);
            g.l(&[(0.26, -0.52), (0.38, -0.38), (0.36, -0.24)], 0.08, 0x777780);
            g.r(-0.28, -0.6, 0.56, 0.4, BODY);
            g.r(-0.22, -0.92, 0.44, 0.29, BODY);
            for x in [-0.1, 0.1] {
                g.c(x, -0.81, 0.065, 0xffffff);
                g.c(x, -0.81, 0.032, 0x1060d0);
            }
            g.r(-0.1, -0.71, 0.2, 0.035, 0x303036);
            g.r(-0.12, -0.5, 0.24, 0.14, 0xd8e6ee);
        }
        Kind::Flower => {
            g.l(&[(0.0, -0.5), (0.0, 0.0)], 0.05, 0x2c8a36);
            g.blob(&[(0.0, -0.1), (0.12, -0.32), (0.36, -0.3), (0.2, -0.1)], 0x2c8a36);
            g.blob(&[(0.0, -0.04), (-0.12, -0.26), (-0.36, -0.24), (-0.2, -0.04)], 0x2c8a36);
            for (x, y) in [(0.0, -0.21), (0.2, -0.07), (0.13, 0.15), (-0.13, 0.15), (-0.2, -0.07)] {
                g.c(x, y - 0.66, 0.16, BODY);
            }
            g.c(0.0, -0.66, 0.12, 0xf6c21c);
            g.c(0.0, -0.66, 0.06, 0x9a5a14);
        }
        Kind::Rocket => {
            g.p(&[(-0.1, -0.12), (0.1, -0.12), (0.0, 0.04)], 0xffb020);
            g.p(&[(-0.2, -0.36), (-0.36, -0.04), (-0.12, -0.12)], 0x8a8f9c);
            g.p(&[(0.2, -0.36), (0.36, -0.04), (0.12, -0.12)], 0x8a8f9c);
            g.blob(
                &[
                    (0.0, -1.08),
                    (0.24, -0.74),
                    (0.24, -0.3),
                    (0.16, -0.09),
                    (-0.16, -0.09),
                    (-0.24, -0.3),
                    (-0.24, -0.74),
                ],
                BODY,
            );
            g.c(0.0, -0.62, 0.1, 0xe8eef4);
            g.c(0.0, -0.62, 0.07, 0x4aa8e0);
        }
    }
}
