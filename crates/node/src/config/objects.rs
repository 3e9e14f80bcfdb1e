//! The section `[objects]`, from raw to checked.
//!
//! Never half a service: a bucket comes with its address and its key, or objects are local.

use std::time::Duration;

use super::check::{Context, url};
use super::error::{ConfigError, text};
use super::{Node, Objects, S3, raw};

pub(super) fn objects(
    cx: &Context<'_>,
    raw: raw::Objects,
    node: &Node,
) -> Result<Objects, ConfigError> {
    let Some(bucket) = raw.bucket else {
        let lone = [
            ("endpoint", &raw.endpoint),
            ("region", &raw.region),
            ("key_id", &raw.key_id),
            ("secret_file", &raw.secret_file),
        ];
        if let Some((name, Some(value))) = lone.into_iter().find(|(_, value)| value.is_some()) {
            return Err(cx.bad(
                &format!("objects.{name}"),
                value,
                text("设置了 S3 参数但没有 objects.bucket", "an S3 setting without objects.bucket"),
                text("设置 objects.bucket,或删除该项", "set objects.bucket, or remove it"),
            ));
        }
        let dir = raw.dir.map_or_else(|| node.data.join("objects"), |it| cx.path(&it));
        return Ok(Objects::Local { dir });
    };
    if let Some(dir) = raw.dir {
        return Err(cx.bad(
            "objects.dir",
            &dir,
            text("与 objects.bucket 矛盾", "contradicts objects.bucket"),
            text("删除其中之一", "remove one of them"),
        ));
    }
    let need = |name: &str, value: Option<String>| {
        value.filter(|it| !it.is_empty()).ok_or_else(|| {
            ConfigError::missing(
                &format!("objects.{name}"),
                text("使用 S3 时必须设置", "needed with objects.bucket"),
                text("见配置文件中的示例", "see the example in the file"),
            )
        })
    };
    let seconds = cx.number("objects.signed_seconds", raw.signed_seconds, 0, (0, 3600))?;
    let endpoint = url(cx, "objects.endpoint", &need("endpoint", raw.endpoint)?)?;
    Ok(Objects::S3(S3 {
        bucket,
        endpoint,
        region: raw.region.unwrap_or_else(|| "us-east-1".to_owned()),
        key_id: need("key_id", raw.key_id)?,
        secret_file: cx.path(&need("secret_file", raw.secret_file)?),
        signed_addresses: (seconds > 0).then(|| Duration::from_secs(seconds)),
    }))
}
