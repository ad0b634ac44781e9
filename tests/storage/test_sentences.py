"""What stores say when they refuse, as a sentence. The texts are of the forms that pyarrow gives."""

import pytest

from resp_agent.errors import RunFailed, UserError
from resp_agent.storage.remote import _sentence


@pytest.mark.parametrize(
    ("uri", "said", "kind", "parts"),
    [
        (
            "s3://clinic/x",
            "When getting information for bucket 'clinic': AWS Error NETWORK_CONNECTION during HeadBucket operation: "
            "curlCode: 28, Timeout was reached; Details: Operation too slow. Less than 1 bytes/sec transferred the "
            "last 10 seconds",
            RunFailed,
            ("fails (Operation too slow. Less than 1 bytes/sec transferred the last 10 seconds)", "AWS_ENDPOINT_URL"),
        ),
        (
            "s3://clinic/x",
            "When uploading object with key 'x' in bucket 'clinic': AWS Error NO_SUCH_BUCKET during PutObject "
            "operation: The specified bucket does not exist (Request ID: bYF5WbA31fhIY3AE81LtsI)",
            UserError,
            ("is gone", "The specified bucket does not exist)", "create it"),
        ),
        (
            "s3://clinic/x",
            "When listing objects under key 'x/' in bucket 'clinic': AWS Error INVALID_ACCESS_KEY_ID during "
            "ListObjectsV2 operation: no such key",
            UserError,
            ("s3://clinic/x is refused", "no such key", "AWS_ACCESS_KEY_ID"),
        ),
        (
            "gs://clinic/x",
            "google::cloud::Status(UNAVAILABLE: Retry policy exhausted, with a last message of PerformWork() - CURL "
            "error [6]=Could not resolve hostname error_info={reason=, domain=, metadata={gcloud-cpp.retry.on-entry="
            "false, gcloud-cpp.retry.function=GetBucketMetadata}})",
            RunFailed,
            ("fails (PerformWork() - CURL error [6]=Could not resolve hostname)", "check the network"),
        ),
        (
            "gs://clinic/x",
            "google::cloud::Status(UNAVAILABLE: Retry policy exhausted, with a last message of Could not create a "
            "OAuth2 access token to authenticate the request. The underlying error message was: PerformWork() - CURL "
            "error [6]=Could not resolve hostname error_info={reason=, domain=, metadata={gcloud-cpp.retry.original-"
            "message=Could not create a OAuth2 access token. The underlying error message was: no}})",
            RunFailed,
            ("fails (PerformWork() - CURL error [6]=Could not resolve hostname)", "check the network"),
        ),
        (
            "gs://clinic/x",
            "google::cloud::Status(PERMISSION_DENIED: Permanent error, with a last message of somebody does not have "
            "storage.objects.get access error_info={reason=forbidden, domain=global, metadata={}})",
            UserError,
            ("is refused (somebody does not have storage.objects.get access)", "GOOGLE_APPLICATION_CREDENTIALS"),
        ),
    ],
)
def test_what_a_store_says_is_told_with_what_to_check(monkeypatch, uri, said, kind, parts):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    sentence = _sentence(uri, said)
    assert type(sentence) is kind
    for part in parts:
        assert part in str(sentence)
