"""Hypothesis strategies for journal entries, as a deployment and a server may exchange them."""

from hypothesis import strategies as st

from perdure.model import journal
from perdure.model.journal import CompletionType
from perdure.model.result import Failure, InvocationIdResult, StateKeys, Success, Void

u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
completion_ids = u32
keys = st.binary(max_size=16)
texts = st.text(max_size=16)
names = texts
headers = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)

successes = st.builds(Success, st.binary(max_size=64))
failures = st.builds(Failure, st.integers(0, 0xFFFF), texts, headers)
voids = st.just(Void())
outcomes = successes | failures

call_targets = st.builds(journal.CallTarget, texts, texts, texts, st.none() | texts)
attach_targets = (
    st.builds(journal.WorkflowTarget, texts, texts)
    | st.builds(journal.IdempotentTarget, texts, st.none() | texts, texts, texts)
    | st.builds(journal.InvocationTarget, texts)
)
signal_names = st.tuples(u32, st.none()) | st.tuples(st.none(), texts)

inputs = st.builds(journal.Input, st.binary(max_size=64), headers)

sent_by_deployments = {
    journal.Output: st.builds(journal.Output, outcomes, names),
    journal.GetLazyState: st.builds(journal.GetLazyState, keys, completion_ids, names),
    journal.GetLazyStateKeys: st.builds(journal.GetLazyStateKeys, completion_ids, names),
    journal.GetEagerState: st.builds(journal.GetEagerState, keys, successes | voids, names),
    journal.GetEagerStateKeys: st.builds(journal.GetEagerStateKeys, st.lists(keys, max_size=3).map(tuple), names),
    journal.SetState: st.builds(journal.SetState, keys, st.binary(max_size=64), names),
    journal.ClearState: st.builds(journal.ClearState, keys, names),
    journal.ClearAllState: st.builds(journal.ClearAllState, names),
    journal.GetPromise: st.builds(journal.GetPromise, texts, completion_ids, names),
    journal.PeekPromise: st.builds(journal.PeekPromise, texts, completion_ids, names),
    journal.CompletePromise: st.builds(journal.CompletePromise, texts, outcomes, completion_ids, names),
    journal.Sleep: st.builds(journal.Sleep, u64, completion_ids, names),
    journal.Call: st.builds(journal.Call, call_targets, st.binary(max_size=64), headers, completion_ids, completion_ids, names),
    journal.OneWayCall: st.builds(journal.OneWayCall, call_targets, st.binary(max_size=64), headers, u64, completion_ids, names),
    journal.SendSignal: st.builds(
        lambda target, signal, result, name: journal.SendSignal(target, signal[0], signal[1], result, name),
        texts,
        signal_names,
        successes | failures | voids,
        names,
    ),
    journal.Run: st.builds(journal.Run, completion_ids, names),
    journal.AttachInvocation: st.builds(journal.AttachInvocation, attach_targets, completion_ids, names),
    journal.GetInvocationOutput: st.builds(journal.GetInvocationOutput, attach_targets, completion_ids, names),
    journal.CompleteAwakeable: st.builds(journal.CompleteAwakeable, texts, outcomes, names),
}
commands = st.one_of(*sent_by_deployments.values())

completions = st.builds(
    journal.Completion,
    st.sampled_from(CompletionType),
    completion_ids,
    successes | failures | voids | st.builds(InvocationIdResult, texts) | st.builds(StateKeys, st.lists(keys, max_size=3).map(tuple)),
)
signals = st.builds(lambda signal, result: journal.Signal(signal[0], signal[1], result), signal_names, successes | failures | voids)
