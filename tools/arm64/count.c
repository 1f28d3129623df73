/* A plugin for qemu-user that counts the instructions a program executes and prints the sum when it
 * ends. The declarations are those of qemu-plugin.h, which Debian does not package. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
typedef void (*on_translation)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*on_exit)(qemu_plugin_id_t id, void *user);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, on_translation cb);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, on_exit cb, void *user);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr,
                                              uint64_t imm);
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);
extern __attribute__((visibility("default"))) int qemu_plugin_version;

int qemu_plugin_version = 1;
static uint64_t count;

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &count, qemu_plugin_tb_n_insns(tb)); /* add */
}

static void done(qemu_plugin_id_t id, void *user) {
    (void)id;
    (void)user;
    fprintf(stderr, "instructions %" PRIu64 "\n", count);
}

__attribute__((visibility("default"))) int
qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, done, NULL);
    return 0;
}
