//! What the pages load: one style sheet, one script, one icon.

use actix_web::HttpResponse;

use crate::{error::Result, http::auth::AdminRequest};

/// The style sheet of the dashboard.
#[utoipa::path(
    get,
    path = "/admin/style.css",
    operation_id = "dashboard_style",
    tag = "operators",
    responses((status = 200, description = "The style sheet.", body = String, content_type = "text/css")),
)]
pub async fn style() -> HttpResponse {
    asset("text/css; charset=utf-8", include_str!("../../../templates/style.css"))
}

/// The script of the dashboard.
pub async fn script(_: AdminRequest) -> Result<HttpResponse> {
    Ok(asset("text/javascript; charset=utf-8", include_str!("../../../templates/script.js")))
}

/// The icon of the dashboard.
pub async fn icon(_: AdminRequest) -> Result<HttpResponse> {
    Ok(asset("image/svg+xml", include_str!("../../../templates/icon.svg")))
}

fn asset(kind: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok().insert_header(("Content-Type", kind)).body(text)
}
