/* Handlers that other files bring to the table of routes in api.c. */
#ifndef SERVER_API_H
#define SERVER_API_H

#include "inside.h"

/* The body as an object or list; NULL after replying. */
json_t *api_body(http_request *r);

/* api_live.c */
void api_get_sources(server *s, http_request *r);
void api_post_source(server *s, http_request *r);
void api_delete_source(server *s, http_request *r);
void api_begin_piece(server *s, http_request *r);
void api_post_piece(server *s, http_request *r);
void api_get_outputs(server *s, http_request *r);
void api_post_output(server *s, http_request *r);
void api_patch_output(server *s, http_request *r);
void api_delete_output(server *s, http_request *r);
void api_get_stream(server *s, http_request *r);
void api_get_video(server *s, http_request *r);
void api_get_snapshot(server *s, http_request *r);
void api_get_events(server *s, http_request *r);

/* Whether the body may be an upload; replies when not. */
bool api_has_media_type(http_request *r);

/* A copy of a picture that went out so long ago at most; false after replying. */
bool api_take_snapshot(server *s, http_request *r, int64_t age_ns, snapshot *out);

/* api_explain.c */
void api_get_explain(server *s, http_request *r);
void api_post_explain_live(server *s, http_request *r);
void api_begin_explain(server *s, http_request *r);
void api_post_explain(server *s, http_request *r);

/* api_jobs.c */
void api_get_jobs(server *s, http_request *r);
void api_begin_job(server *s, http_request *r);
void api_post_job(server *s, http_request *r);
void api_get_job(server *s, http_request *r);
void api_delete_job(server *s, http_request *r);
void api_get_result(server *s, http_request *r);
void api_get_report(server *s, http_request *r);

#endif
