//! Images made smaller, and never decoded before their header says that they are small enough.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::imageops::FilterType;
use image::{AnimationDecoder as _, DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits};

/// Memory that decoding one image may take beyond the picture itself, in bytes.
const SPARE: u64 = 32 * 1024 * 1024;

/// Sizes an image is shown in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variant {
    /// The file itself.
    Original,
    /// At most 36 pixels high.
    Small,
    /// Within 512 by 512 pixels.
    Large,
    /// Within 3000 by 3000 pixels.
    Full,
    /// Within the pixels of the setting `attachments.preview_pixels`: for models that look at it.
    Preview,
}

impl Variant {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Original, Self::Small, Self::Large, Self::Full, Self::Preview];

    /// Its name in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Small => "small",
            Self::Large => "large",
            Self::Full => "full",
            Self::Preview => "preview",
        }
    }

    /// The variant with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|variant| variant.as_str() == name)
    }

    /// The width and height that an image of `width` by `height` has in this size, previews within
    /// `preview` pixels each way; never larger than it is.
    pub(super) fn scaled(self, (width, height): (u32, u32), preview: u32) -> (u32, u32) {
        let (widest, highest) = match self {
            Self::Original => return (width, height),
            Self::Small => (512, 36),
            Self::Large => (512, 512),
            Self::Full => (3000, 3000),
            Self::Preview => (preview, preview),
        };
        let scale = (f64::from(widest) / f64::from(width.max(1)))
            .min(f64::from(highest) / f64::from(height.max(1)))
            .min(1.0);
        let side = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
        (side(width), side(height))
    }
}

/// The ending and the type that scaled images of this type have: photographs stay JPEG.
pub(super) fn scaled_type(kind: &str) -> (&'static str, &'static str) {
    if kind == "image/jpeg" { ("jpg", "image/jpeg") } else { ("png", "image/png") }
}

fn reader(path: &Path, max_pixels: u64) -> Result<ImageReader<BufReader<File>>, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let mut reader =
        ImageReader::new(BufReader::new(file)).with_guessed_format().map_err(|e| e.to_string())?;
    reader.limits(limits(max_pixels));
    Ok(reader)
}

fn limits(max_pixels: u64) -> Limits {
    let mut limits = Limits::default();
    // Eight bytes for a pixel is the most a format here has.
    limits.max_alloc = Some(max_pixels.saturating_mul(8).saturating_add(SPARE));
    limits
}

/// Width and height as shown, from the header alone; `None` when there is no readable one.
pub(super) fn measure(path: &Path) -> Option<(u32, u32)> {
    let mut decoder = reader(path, 0).ok()?.into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    let turned = decoder.orientation().is_ok_and(turns);
    Some(if turned { (height, width) } else { (width, height) })
}

fn turns(orientation: image::metadata::Orientation) -> bool {
    use image::metadata::Orientation as O;
    matches!(orientation, O::Rotate90 | O::Rotate270 | O::Rotate90FlipH | O::Rotate270FlipH)
}

/// Refuses images of more pixels than may be decoded.
pub(super) fn check_size((width, height): (u32, u32), max_pixels: u64) -> Result<(), String> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels > max_pixels {
        return Err(format!(
            "the image has {width} x {height} pixels; images of up to {} megapixels are scaled",
            max_pixels / 1_000_000
        ));
    }
    Ok(())
}

/// Writes the image at `from` to `to`, in the size that `side` makes of its own. `jpeg`: as JPEG,
/// otherwise as PNG. Of one that moves the first picture is taken.
pub(super) fn scale(
    from: &Path,
    to: &Path,
    side: impl FnOnce((u32, u32)) -> (u32, u32),
    jpeg: bool,
    max_pixels: u64,
) -> Result<(), String> {
    let mut decoder = reader(from, max_pixels)?.into_decoder().map_err(|e| e.to_string())?;
    check_size(decoder.dimensions(), max_pixels)?;
    let orientation = decoder.orientation().map_err(|e| e.to_string())?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| e.to_string())?;
    picture.apply_orientation(orientation);
    let (width, height) = side((picture.width(), picture.height()));
    if (width, height) != (picture.width(), picture.height()) {
        // Far larger images are first thinned out, which costs a fraction and is not seen.
        let near = |side: u32| side.saturating_mul(3);
        if picture.width() > near(width) && picture.height() > near(height) {
            picture = picture.thumbnail_exact(near(width), near(height));
        }
        picture = picture.resize_exact(width, height, FilterType::Triangle);
    }
    let (picture, format) = if jpeg {
        (DynamicImage::ImageRgb8(picture.into_rgb8()), ImageFormat::Jpeg)
    } else {
        (DynamicImage::ImageRgba8(picture.into_rgba8()), ImageFormat::Png)
    };
    let mut out = BufWriter::new(super::blobs::create(to).map_err(|e| e.to_string())?);
    picture.write_to(&mut out, format).map_err(|e| e.to_string())?;
    out.flush().map_err(|e| e.to_string())
}

/// True for an image of more than one picture. At most two are decoded.
pub(super) fn moves(path: &Path, kind: &str, max_pixels: u64) -> Result<bool, String> {
    let wrong = |e: image::ImageError| e.to_string();
    let file = || File::open(path).map(BufReader::new).map_err(|e| e.to_string());
    match kind {
        "image/gif" => {
            let mut decoder = GifDecoder::new(file()?).map_err(wrong)?;
            check_size(decoder.dimensions(), max_pixels)?;
            decoder.set_limits(limits(max_pixels)).map_err(wrong)?;
            Ok(decoder.into_frames().take(2).filter(Result::is_ok).count() > 1)
        }
        "image/webp" => Ok(WebPDecoder::new(file()?).map_err(wrong)?.has_animation()),
        "image/png" => {
            let decoder = PngDecoder::with_limits(file()?, limits(max_pixels)).map_err(wrong)?;
            decoder.is_apng().map_err(wrong)
        }
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_fit_their_box_and_never_grow() {
        assert_eq!(Variant::Small.scaled((640, 480), 1_024), (48, 36));
        assert_eq!(Variant::Small.scaled((100_000, 10), 1_024), (512, 1));
        assert_eq!(Variant::Large.scaled((1024, 512), 1_024), (512, 256));
        assert_eq!(Variant::Large.scaled((30, 20), 1_024), (30, 20));
        assert_eq!(Variant::Full.scaled((6000, 1500), 1_024), (3000, 750));
        assert_eq!(Variant::Original.scaled((6000, 1500), 1_024), (6000, 1500));
        assert_eq!(Variant::Large.scaled((0, 0), 1_024), (1, 1));
        for variant in Variant::ALL {
            assert_eq!(Variant::named(variant.as_str()), Some(variant));
        }
        assert_eq!(Variant::named("huge"), None);
    }
}
