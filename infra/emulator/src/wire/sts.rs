//! The one implemented call of STS: GetCallerIdentity, which many clients make first.

use super::fault::sts_document;
use http::StatusCode;
use percent_encoding::percent_decode_str;

/// Limits the form of a call.
pub(super) const FORM_BYTES_MAX: usize = 64 * 1024;
const VERSION: &str = "2011-06-15";
const ACCOUNT: &str = "000000000000";

/// Answers a call, given as a form, with an HTTP status and an XML document.
pub(super) fn answer(form: &str, number: u64) -> (StatusCode, String) {
    let field = |name: &str| {
        let mut fields = form.split('&').filter_map(|field| field.split_once('='));
        let value = fields.find(|(given, _)| *given == name).map(|(_, value)| value.replace('+', " "));
        value.map(|value| percent_decode_str(&value).decode_utf8_lossy().into_owned())
    };
    let (action, version) = (field("Action").unwrap_or_default(), field("Version").unwrap_or_default());
    if (action.as_str(), version.as_str()) != ("GetCallerIdentity", VERSION) {
        let text = format!(
            "the operation {action:?} of the version {version:?} is not implemented by this endpoint, expected \
             GetCallerIdentity of {VERSION}"
        );
        return (StatusCode::BAD_REQUEST, sts_document("InvalidAction", &text));
    }
    let document = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/{VERSION}/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{ACCOUNT}:root</Arn><UserId>{ACCOUNT}</UserId><Account>{ACCOUNT}</Account>\
         </GetCallerIdentityResult><ResponseMetadata><RequestId>{number:016X}</RequestId></ResponseMetadata>\
         </GetCallerIdentityResponse>"
    );
    (StatusCode::OK, document)
}
