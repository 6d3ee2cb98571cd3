"""`BlockAndWaitWorkflow`; and `PromiseWorkflow`, which shows every operation on a promise."""

from restate import TerminalError, Workflow, WorkflowContext, WorkflowSharedContext

from tests.e2e.contract.services_py.surroundings import PREFIX

block_and_wait = Workflow(f"{PREFIX}BlockAndWaitWorkflow")
promises = Workflow(f"{PREFIX}PromiseWorkflow")


@block_and_wait.main("run")
async def run(ctx: WorkflowContext, text: str) -> str:
    ctx.set("my-state", text)
    output = await ctx.promise("durable-promise", type_hint=str).value()
    if await ctx.promise("durable-promise", type_hint=str).peek() is None:
        raise TerminalError("a completed promise shows nothing")
    return output


@block_and_wait.handler()
async def unblock(ctx: WorkflowSharedContext, output: str) -> None:
    await ctx.promise("durable-promise", type_hint=str).resolve(output)


@block_and_wait.handler("getState")
async def get_state(ctx: WorkflowSharedContext) -> str | None:
    return await ctx.get("my-state", type_hint=str)


@promises.main("run")
async def run_with_promise(ctx: WorkflowContext) -> str:
    return await ctx.promise("gate", type_hint=str).value()


@promises.handler()
async def peek(ctx: WorkflowSharedContext) -> str | None:
    return await ctx.promise("gate", type_hint=str).peek()


@promises.handler()
async def wait(ctx: WorkflowSharedContext) -> str:
    return await ctx.promise("gate", type_hint=str).value()


@promises.handler()
async def resolve(ctx: WorkflowSharedContext, value: str) -> None:
    await ctx.promise("gate", type_hint=str).resolve(value)


@promises.handler()
async def reject(ctx: WorkflowSharedContext, message: str) -> None:
    await ctx.promise("gate", type_hint=str).reject(message)
