"""The error of a call, as a value."""

from builds_async import BuildsClient, BuildsError
from tests.support.bodies import BUILD_UUID


async def failure(client: BuildsClient) -> BuildsError:
    """The error that a call raises, with a traceback that begins here."""
    try:
        await client.builds.get(BUILD_UUID)
    except BuildsError as error:
        return error
    raise AssertionError("it was answered")
