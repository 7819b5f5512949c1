"""The facts of a build for the page: trustworthy links, and places in the log."""

import pytest

from builds_async import BuildTriggerMetadata, LogLine
from builds_async.dashboard.facts import Outline, commit_url, web_url
from builds_async.models.builds import ProviderType

HASH = "c0ffee" * 6 + "abcd"


@pytest.mark.parametrize(
    ("provider", "owner", "repo", "commit", "url"),
    [
        pytest.param(
            "github", "octo", "shop.js", HASH, f"https://github.com/octo/shop.js/commit/{HASH}", id="github"
        ),
        pytest.param("gitlab", "a/b", "c", HASH, f"https://gitlab.com/a/b/c/-/commit/{HASH}", id="gitlab"),
        pytest.param("gitlab_internal", "a", "c", HASH, None, id="a host of one's own"),
        pytest.param("javascript:alert(1)//", "a", "c", HASH, None, id="no host"),
        pytest.param(None, "a", "c", HASH, None, id="unknown host"),
        pytest.param("github", "octo", "shop", "", None, id="no commit"),
        pytest.param("github", "octo", "shop", "main", None, id="no hash"),
        pytest.param("github", "octo", "..", HASH, None, id="another place"),
        pytest.param("github", "octo", "shop?x=", HASH, None, id="a query"),
        pytest.param("github", "evil.example/@", "shop", HASH, None, id="another owner"),
        pytest.param("gitlab", "a//b", "shop", HASH, None, id="an empty part"),
        pytest.param("github", "octo", '"><img src=x>', HASH, None, id="markup"),
        pytest.param("github", None, None, None, None, id="nothing"),
    ],
)
def test_commit_url(
    provider: str | None, owner: str | None, repo: str | None, commit: str | None, url: str | None
) -> None:
    """A commit has a link only on a known host, and only if its parts are names and a hash."""
    about = BuildTriggerMetadata(
        provider_type=None if provider is None else ProviderType(provider),
        provider_account_name=owner,
        repo_name=repo,
        commit_hash=commit,
    )
    assert commit_url(about) == url


@pytest.mark.parametrize(
    ("url", "is_page"),
    [
        ("https://abc-shop.octo.workers.dev", True),
        ("https://shop.example/a?b=c#d", True),
        ("http://shop.example", False),
        ("javascript:alert(1)", False),
        ("JavaScript:alert(1)//https://shop.example", False),
        ("https://user:password@shop.example", False),
        ("https://", False),
        ("https://[", False),
        ("https://shop.example/\u202e", False),
        ("https://shop.example/\n", False),
        ("data:text/html,x", False),
        ("//shop.example", False),
        ("", False),
        (None, False),
    ],
)
def test_web_url(url: str | None, is_page: bool) -> None:
    """Only the address of a web page becomes a link."""
    assert web_url(url) == (url if is_page else None)


def test_outline_in_pieces() -> None:
    """However a log is cut into batches, its steps and its reason have the same lines."""
    texts = [
        "Cloning repository...",
        "",
        "Executing user build command: x",
        "Error: no",
        "Cloning repository...",
        "",
    ]
    lines = [LogLine(0, text) for text in texts]
    for size in range(1, len(lines) + 1):
        outline = Outline()
        for at in range(0, len(lines), size):
            outline.add(lines[at : at + size])
        assert outline.begins == {"clone": 1, "build": 3}
        assert outline.reason is not None
        assert (outline.reason.at, outline.reason.text) == (3, "Error: no")
        assert outline.number == len(lines)
