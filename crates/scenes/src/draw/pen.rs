//! A pen: a few plain shapes on a sheet, in whatever coordinates are current.

use tiny_skia::{
    Color, FillRule, FilterQuality, GradientStop, LineCap, LineJoin, LinearGradient, Paint, Path, PathBuilder, Pattern,
    Pixmap, Point, Rect, Shader, SpreadMode, Stroke, Transform,
};

/// Instead of a colour: the coloured part of the thing being drawn, with texture and outline.
pub const BODY: u32 = 0x0100_0000;
/// Instead of a colour: a darker tone of the thing's colour, without texture.
pub const SHADE: u32 = 0x0200_0000;

/// What the coloured part of a thing looks like.
pub struct Body {
    /// Its colour.
    pub colour: u32,
    /// A darker tone.
    pub shade: u32,
    /// The line around it.
    pub edge: u32,
    /// A tile of its texture and how large a tile is, in current units.
    pub tile: Option<(Pixmap, f32)>,
}

/// Draws plain shapes; colours are `0xRRGGBB`, [`BODY`] or [`SHADE`].
pub struct Pen<'a> {
    sheet: &'a mut Pixmap,
    /// From current coordinates to pixels.
    pub at: Transform,
    /// Opacity of what is drawn next.
    pub a: f32,
    /// What [`BODY`] means.
    pub body: Option<Body>,
}

pub fn colour(rgb: u32, alpha: f32) -> Color {
    let [_, r, g, b] = rgb.to_be_bytes();
    let a = (alpha * 255.0) as u8;
    Color::from_rgba8(r, g, b, a)
}

/// A colour between two others.
pub fn mix(a: u32, b: u32, share: f32) -> u32 {
    let (a, b) = (a.to_be_bytes(), b.to_be_bytes());
    let part = |i: usize| (f32::from(a[i]) + (f32::from(b[i]) - f32::from(a[i])) * share) as u8;
    u32::from_be_bytes([0, part(1), part(2), part(3)])
}

impl<'a> Pen<'a> {
    pub fn new(sheet: &'a mut Pixmap, at: Transform) -> Self {
        Self { sheet, at, a: 1.0, body: None }
    }

    /// Draws in moved, scaled and turned (degrees, about the new origin) coordinates for a while.
    pub fn within(&mut self, x: f32, y: f32, scale: f32, degrees: f32, draw: impl FnOnce(&mut Self)) {
        let before = self.at;
        self.at = before.pre_translate(x, y).pre_scale(scale, scale).pre_concat(Transform::from_rotate(degrees));
        draw(self);
        self.at = before;
    }

    fn fill(&mut self, path: Option<Path>, ink: u32) {
        let Some(path) = path else { return };
        let mut paint = Paint { anti_alias: true, ..Paint::default() };
        let Some(body) = self.body.as_ref().filter(|_| ink > 0xff_ffff) else {
            paint.set_color(colour(ink & 0xff_ffff, self.a));
            self.sheet.fill_path(&path, &paint, FillRule::Winding, self.at, None);
            return;
        };
        if ink == SHADE {
            paint.set_color(colour(body.shade, self.a));
            self.sheet.fill_path(&path, &paint, FillRule::Winding, self.at, None);
            return;
        }
        paint.set_color(colour(body.colour, self.a));
        if let Some((tile, size)) = &body.tile {
            let scale = size / tile.width() as f32;
            let turn = Transform::from_rotate(18.0).pre_scale(scale, scale);
            paint.shader = Pattern::new(tile.as_ref(), SpreadMode::Repeat, FilterQuality::Bilinear, self.a, turn);
        }
        self.sheet.fill_path(&path, &paint, FillRule::Winding, self.at, None);
        let mut line = Paint { anti_alias: true, ..Paint::default() };
        line.set_color(colour(body.edge, self.a));
        let stroke = Stroke { width: 0.028, line_join: LineJoin::Round, ..Stroke::default() };
        self.sheet.stroke_path(&path, &line, &stroke, self.at, None);
    }

    /// A rectangle by its corner and size.
    pub fn r(&mut self, x: f32, y: f32, w: f32, h: f32, ink: u32) {
        self.fill(Rect::from_xywh(x, y, w, h).map(PathBuilder::from_rect), ink);
    }

    /// An ellipse by its middle and half axes.
    pub fn e(&mut self, x: f32, y: f32, rx: f32, ry: f32, ink: u32) {
        self.fill(Rect::from_xywh(x - rx, y - ry, 2.0 * rx, 2.0 * ry).and_then(PathBuilder::from_oval), ink);
    }

    /// A circle.
    pub fn c(&mut self, x: f32, y: f32, r: f32, ink: u32) {
        self.e(x, y, r, r, ink);
    }

    /// A polygon.
    pub fn p(&mut self, points: &[(f32, f32)], ink: u32) {
        self.fill(path(points, true), ink);
    }

    /// A closed shape whose corners are all rounded off: points are the handles of a smooth curve.
    pub fn blob(&mut self, points: &[(f32, f32)], ink: u32) {
        let n = points.len();
        let mid = |a: (f32, f32), b: (f32, f32)| ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0);
        let mut out = PathBuilder::new();
        let start = mid(points[n - 1], points[0]);
        out.move_to(start.0, start.1);
        for i in 0..n {
            let end = mid(points[i], points[(i + 1) % n]);
            out.quad_to(points[i].0, points[i].1, end.0, end.1);
        }
        out.close();
        self.fill(out.finish(), ink);
    }

    /// The upper half of an ellipse on a flat base.
    pub fn dome(&mut self, x: f32, y: f32, rx: f32, ry: f32, ink: u32) {
        let k = 0.5523;
        let mut out = PathBuilder::new();
        out.move_to(x - rx, y);
        out.cubic_to(x - rx, y - k * ry, x - k * rx, y - ry, x, y - ry);
        out.cubic_to(x + k * rx, y - ry, x + rx, y - k * ry, x + rx, y);
        out.close();
        self.fill(out.finish(), ink);
    }

    /// A line through points.
    pub fn l(&mut self, points: &[(f32, f32)], width: f32, ink: u32) {
        self.stroke(path(points, false), width, ink);
    }

    /// A ring.
    pub fn o(&mut self, x: f32, y: f32, rx: f32, ry: f32, width: f32, ink: u32) {
        self.stroke(Rect::from_xywh(x - rx, y - ry, 2.0 * rx, 2.0 * ry).and_then(PathBuilder::from_oval), width, ink);
    }

    /// A curve from one point to another, drawn towards a third.
    pub fn arc(&mut self, from: (f32, f32), by: (f32, f32), to: (f32, f32), width: f32, ink: u32) {
        let mut out = PathBuilder::new();
        out.move_to(from.0, from.1);
        out.quad_to(by.0, by.1, to.0, to.1);
        self.stroke(out.finish(), width, ink);
    }

    fn stroke(&mut self, path: Option<Path>, width: f32, ink: u32) {
        let Some(path) = path else { return };
        let ink = match (&self.body, ink) {
            (Some(body), BODY) => body.colour,
            (Some(body), SHADE) => body.shade,
            _ => ink & 0xff_ffff,
        };
        let mut paint = Paint { anti_alias: true, ..Paint::default() };
        paint.set_color(colour(ink, self.a));
        let stroke = Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
        self.sheet.stroke_path(&path, &paint, &stroke, self.at, None);
    }

    /// A five-pointed star.
    pub fn star(&mut self, x: f32, y: f32, r: f32, ink: u32) {
        let points: Vec<_> = (0..10)
            .map(|i| {
                let (s, c) = (i as f32 * std::f32::consts::PI / 5.0).sin_cos();
                let r = if i % 2 == 0 { r } else { r * 0.45 };
                (x + s * r, y - c * r)
            })
            .collect();
        self.p(&points, ink);
    }

    /// A heart.
    pub fn heart(&mut self, x: f32, y: f32, r: f32, ink: u32) {
        self.c(x - r * 0.48, y - r * 0.3, r * 0.54, ink);
        self.c(x + r * 0.48, y - r * 0.3, r * 0.54, ink);
        self.p(&[(x - r * 0.94, y - r * 0.05), (x + r * 0.94, y - r * 0.05), (x, y + r)], ink);
    }

    /// A band across the whole sheet, from one colour above to another below; wide enough for any zoom.
    pub fn band(&mut self, top: f32, bottom: f32, above: u32, below: u32) {
        let Some(rect) = Rect::from_ltrb(-120.0, top, 520.0, bottom) else { return };
        let shader = LinearGradient::new(
            Point::from_xy(0.0, top.max(-20.0)),
            Point::from_xy(0.0, bottom.min(320.0)),
            vec![GradientStop::new(0.0, colour(above, self.a)), GradientStop::new(1.0, colour(below, self.a))],
            SpreadMode::Pad,
            Transform::identity(),
        );
        let shader = shader.unwrap_or(Shader::SolidColor(colour(above, self.a)));
        let paint = Paint { anti_alias: false, shader, ..Paint::default() };
        self.sheet.fill_path(&PathBuilder::from_rect(rect), &paint, FillRule::Winding, self.at, None);
    }

    /// A veil over everything drawn so far.
    pub fn veil(&mut self, ink: u32, alpha: f32) {
        if alpha <= 0.0 {
            return;
        }
        let mut paint = Paint { anti_alias: false, ..Paint::default() };
        paint.set_color(colour(ink, alpha));
        if let Some(all) = Rect::from_xywh(0.0, 0.0, self.sheet.width() as f32, self.sheet.height() as f32) {
            self.sheet.fill_rect(all, &paint, Transform::identity(), None);
        }
    }
}

fn path(points: &[(f32, f32)], close: bool) -> Option<Path> {
    let mut out = PathBuilder::new();
    for (i, (x, y)) in points.iter().enumerate() {
        if i == 0 { out.move_to(*x, *y) } else { out.line_to(*x, *y) }
    }
    if close {
        out.close();
    }
    out.finish()
}
