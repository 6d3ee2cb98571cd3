-- One statement in each line; {name} is the id of an invocation of sql_activity.py.
SELECT status, count(*) AS n FROM sys_invocation GROUP BY status ORDER BY status
SELECT status, count(*) AS n FROM sys_invocation_status GROUP BY status ORDER BY status
SELECT target, status FROM sys_invocation ORDER BY target, status
SELECT * FROM sys_invocation WHERE id = '{errands}'
SELECT * FROM sys_invocation WHERE id = '{refused}'
SELECT * FROM sys_invocation WHERE id = '{rummage}'
SELECT * FROM sys_invocation WHERE id = '{queued}'
SELECT * FROM sys_invocation WHERE id = '{scheduled}'
SELECT * FROM sys_invocation WHERE id = '{sleeping}'
SELECT * FROM sys_invocation WHERE id = '{order}'
SELECT * FROM sys_invocation_status WHERE id = '{errands}'
SELECT * FROM sys_invocation_status WHERE id = '{queued}'
SELECT * FROM sys_invocation_status WHERE id = '{paused}'
SELECT * FROM sys_invocation_status WHERE id = '{sleeping}'
SELECT * FROM sys_invocation_status WHERE invoked_by = 'service' AND target_service_key = 'k1' ORDER BY created_at
SELECT target, invoked_by, invoked_by_id, invoked_by_service_name, invoked_by_target, status, completion_result, completion_failure FROM sys_invocation WHERE invoked_by_id = '{errands}' ORDER BY created_at
SELECT in_flight, retry_count, last_attempt_server IS NOT NULL AS has_server, last_attempt_deployment_id FROM sys_invocation_state WHERE id = '{holding}'
SELECT index, entry_type, name, version, raw FROM sys_journal WHERE id = '{rummage}' ORDER BY index
SELECT index, entry_type, name, version FROM sys_journal WHERE id = '{errands}' ORDER BY index
SELECT index, entry_lite_json FROM sys_journal WHERE id = '{errands}' ORDER BY index
SELECT index, entry_json FROM sys_journal WHERE id = '{rummage}' ORDER BY index
SELECT index, entry_json FROM sys_journal WHERE id = '{paying}' ORDER BY index
SELECT index, entry_json, entry_lite_json FROM sys_journal WHERE id = '{order}' ORDER BY index
SELECT index, entry_json, entry_lite_json FROM sys_journal WHERE id = '{refused}' ORDER BY index
SELECT index, entry_json, entry_lite_json FROM sys_journal WHERE id = '{dozed}' ORDER BY index
SELECT index, entry_type, entry_json FROM sys_journal WHERE id = '{holding}' ORDER BY index LIMIT 2
SELECT entry_type, count(*) AS n FROM sys_journal GROUP BY entry_type ORDER BY entry_type
SELECT j.entry_type FROM sys_journal j JOIN sys_invocation_status i ON j.id = i.id WHERE i.target_service_name = 'Attic' ORDER BY j.index
SELECT event_type, after_journal_entry_index, appended_at IS NOT NULL AS has_time FROM sys_journal_events WHERE id = '{paused}' ORDER BY appended_at, event_type DESC
SELECT json_get_str(event_json, 'ty') AS ty, json_get_int(event_json, 'error_code') AS code, json_get_str(event_json, 'error_message') AS message, json_get_str(event_json, 'restate_doc_error_code') AS doc FROM sys_journal_events WHERE id = '{paused}' AND event_type = 'TransientError'
SELECT service_name, service_key, id, sequence_number FROM sys_inbox
SELECT service_name, service_key, invocation_id FROM sys_keyed_service_status ORDER BY service_name, service_key
SELECT * FROM sys_promise ORDER BY service_key, key
SELECT * FROM state ORDER BY service_name, service_key, key
SELECT key, value_utf8, value_length FROM state WHERE service_name = 'Stock' AND service_key = 'k1' ORDER BY key
SELECT name, revision, public, ty, deployment_id FROM sys_service ORDER BY name
SELECT id, ty, endpoint, min_service_protocol_version, services FROM sys_deployment
SELECT s.ty, count(i.id) AS n FROM sys_service s LEFT JOIN sys_invocation i ON i.target_service_name = s.name GROUP BY s.ty ORDER BY s.ty
SELECT target_service_name, count(*) FILTER (WHERE status = 'completed') AS done, bool_or(completion_result = 'failure') AS failed FROM sys_invocation_status GROUP BY target_service_name ORDER BY target_service_name
SELECT array_length(suspended_waiting_for_completions) AS n, suspended_waiting_future_json FROM sys_invocation WHERE id = '{sleeping}'
SELECT completed_at >= created_at AS later, date_part('year', created_at) >= 2024 AS young, completion_retention FROM sys_invocation_status WHERE id = '{refused}'
SELECT scheduled_start_at - scheduled_at AS delay_rounded FROM sys_invocation_status WHERE id = '{scheduled}' AND scheduled_start_at - scheduled_at > INTERVAL '59 minutes' AND 1 = 0
SELECT json_get_str(entry_json, 'Command', 'GetLazyState', 'name') AS name, json_get_int(entry_json, 'Command', 'GetLazyState', 'completion_id') AS completion FROM sys_journal WHERE id = '{rummage}' AND entry_type = 'Command: GetLazyState'
SELECT entry_json -> 'Command' ->> 'SetState' AS entry FROM sys_journal WHERE id = '{rummage}' AND entry_type = 'Command: SetState'
SELECT json_length('{"a":1,"b":[1,2]}') AS l, json_get_int('{"a":[5,6]}', 'a', 1) AS i, json_as_text('{"a":{"b":1}}', 'a') AS t, json_contains('{"a":1}', 'a') AS c, json_get_bool('{"a":true}', 'a') AS b, json_get_float('{"a":1.5}', 'a') AS f, json_object_keys('{"a":1,"b":2}') AS k, json_get_json('{"a": {"b": 1}}', 'a') AS j, json_get_str('{"a":1}', 'a') AS n
SELECT '{"a":1}' ? 'a' AS has, '{"a":"x"}' ->> 'a' AS text, json_get_array('[1, "x", null]') AS items, json_length('[1,2]') AS l2, json_as_text('["x"]', 0) AS first
SELECT row_number() OVER (PARTITION BY target_service_name ORDER BY target_handler_name) AS n, target_handler_name FROM sys_invocation_status WHERE target_service_name = 'Desk' ORDER BY n
WITH busy AS (SELECT id FROM sys_invocation WHERE status NOT IN ('completed', 'paused')) SELECT count(*) AS n FROM busy
SELECT target FROM sys_invocation_status WHERE target LIKE 'Stock/%' AND status IN ('inboxed', 'scheduled') ORDER BY target
SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'sys_idempotency' ORDER BY table_name
SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' AND table_name IN ('sys_invocation', 'sys_journal', 'state', 'sys_promise', 'sys_deployment', 'sys_inbox') ORDER BY table_name, ordinal_position
