// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watches instrumented modules in the guest of `kbuildpy run`: reads the counters that gcc keeps for gcov, and lets
 * calls of allocators fail.
 *
 * A module's counters are read when it is going, which is after its exit function, or after an init function that
 * failed; those of a module that is still loaded are read when /proc/kbuildpy_guest is. The calls of allocators come
 * here because instrumented modules are linked with `ld --wrap` for each of the names in allocators.h. What that file
 * and /proc/kbuildpy_guest hold is described in kbuildpy.coverage.
 */
#include <linux/err.h>
#include <linux/hashtable.h>
#include <linux/kallsyms.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/version.h>
#include <linux/vmalloc.h>
#include <trace/events/kmem.h>

#define NAME "kbuildpy_guest"
#define MODULES 256		/* instrumented modules in one boot */
#define CALLS 4096		/* calls of allocators whose places are kept */
#define BLOCKS 8192		/* blocks of memory that are watched at a time */
#define PLACE 120
#define LINE 700		/* what fits into a line of the kernel's log, with what comes before it */

/* ---- counters ---- */

/* What gcc adds to an object (libgcov's struct gcov_info); a counter for each arc is all that a module has. */
#if __GNUC__ >= 15
#define KINDS_OF_COUNTERS 10
#elif __GNUC__ >= 14
#define KINDS_OF_COUNTERS 9
#else
#define KINDS_OF_COUNTERS 8
#endif

struct counted_function {
	const void *owner;
	unsigned int identity;
	unsigned int checksum_of_lines;
	unsigned int checksum_of_arcs;
	struct {
		unsigned int number;
		const s64 *counters;
	} arcs;
};

struct counted_object {
	unsigned int version;
	void *next;
	unsigned int stamp;
#if __GNUC__ >= 12
	unsigned int checksum;
#endif
	const char *file;
	void *merge[KINDS_OF_COUNTERS];
	unsigned int number;
	const struct counted_function *const *functions;
};

struct text {
	char *bytes;
	size_t size;
	size_t used;
};

struct watched {
	struct module *module;
	char name[MODULE_NAME_LEN];
	const struct counted_object *const *begin;
	const struct counted_object *const *end;
	struct text text;
	bool lost;
};

static struct watched watched[MODULES];
static unsigned int modules;
static DEFINE_MUTEX(modules_lock);

static __printf(2, 3) int add(struct text *text, const char *format, ...)
{
	va_list arguments;
	size_t length;
	char *bytes;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (text->used + length + 1 > text->size) {
		size_t size = max_t(size_t, 2 * text->size, text->used + length + 4096);

		bytes = vmalloc(size);
		if (!bytes)
			return -ENOMEM;
		if (text->used)
			memcpy(bytes, text->bytes, text->used);
		vfree(text->bytes);
		text->bytes = bytes;
		text->size = size;
	}
	va_start(arguments, format);
	text->used += vsnprintf(text->bytes + text->used, length + 1, format, arguments);
	va_end(arguments);
	return 0;
}

static int add_function(struct text *text, const struct counted_function *function)
{
	size_t begin = text->used;
	unsigned int number;
	int error;

	error = add(text, "function %x %x %x %x\n", function->identity, function->checksum_of_lines,
		    function->checksum_of_arcs, function->arcs.number);
	for (number = 0; !error && number < function->arcs.number; number++) {
		s64 counter = READ_ONCE(function->arcs.counters[number]);

		if (!counter)
			continue;
		/* (a line holds what fits) */
		if (text->bytes[text->used - 1] == '\n' || text->used - begin > LINE - 40) {
			if (text->bytes[text->used - 1] != '\n')
				error = add(text, "\n");
			begin = text->used;
			error = error ?: add(text, "counts");
		}
		error = error ?: add(text, " %x:%llx", number, counter);
	}
	if (!error && text->bytes[text->used - 1] != '\n')
		error = add(text, "\n");
	return error;
}

static int add_object(struct text *text, const struct counted_object *object)
{
	unsigned int checksum = 0, number;
	size_t length = strlen(object->file), begin;
	int error;

#if __GNUC__ >= 12
	checksum = object->checksum;
#endif
	error = add(text, "object %x %x %x\n", object->version, object->stamp, checksum);
	for (begin = 0; !error && begin < length; begin += LINE)
		error = add(text, "path %.*s\n", LINE, object->file + begin);
	for (number = 0; !error && number < object->number; number++) {
		const struct counted_function *function = object->functions[number];

		/* (of an inline function that is in several objects, one has the counters) */
		if (function && function->owner == object)
			error = add_function(text, function);
	}
	return error;
}

static void read_counters(struct watched *one)
{
	const struct counted_object *const *object;
	int error = 0;

	one->text.used = 0;
	for (object = one->begin; !error && object < one->end; object++)
		if (*object)
			error = add_object(&one->text, *object);
	one->lost = error;
}

/* The value of a symbol of a module that is being loaded; 0 if it has none of that name. */
static unsigned long symbol_of(struct module *module, const char *name)
{
	const struct mod_kallsyms *symbols = (__force const struct mod_kallsyms *)READ_ONCE(module->kallsyms);
	unsigned int number;

	for (number = 0; symbols && number < symbols->num_symtab; number++)
		if (!strcmp(symbols->strtab + symbols->symtab[number].st_name, name))
			return symbols->symtab[number].st_value;
	return 0;
}

static void begin_watching(struct module *module)
{
	unsigned long begin = symbol_of(module, "__kbuildpy_counters");
	unsigned long end = symbol_of(module, "__kbuildpy_counters_end");

	if (!begin || end < begin)
		return;
	if (modules == MODULES) {
		pr_warn(NAME ": the counters of %s are lost: too many modules\n", module->name);
		return;
	}
	watched[modules].module = module;
	strscpy(watched[modules].name, module->name, MODULE_NAME_LEN);
	watched[modules].begin = (const void *)begin;
	watched[modules].end = (const void *)end;
	modules++;
}

static int on_module(struct notifier_block *block, unsigned long event, void *data)
{
	unsigned int number;

	mutex_lock(&modules_lock);
	if (event == MODULE_STATE_COMING) {
		begin_watching(data);
	} else if (event == MODULE_STATE_GOING) {
		for (number = 0; number < modules; number++) {
			if (watched[number].module == data) {
				read_counters(&watched[number]);
				watched[number].module = NULL;
			}
		}
	}
	mutex_unlock(&modules_lock);
	return NOTIFY_DONE;
}

/* (after what others do when a module is going: that is code of the module, too) */
static struct notifier_block module_notifier = { .notifier_call = on_module, .priority = INT_MIN };

/* ---- allocators ---- */

static unsigned long fail_nth;
module_param(fail_nth, ulong, 0444);
MODULE_PARM_DESC(fail_nth, "the call of an allocator that fails, from 1 on; 0: none");

struct call {
	const char *allocator;
	char place[PLACE];
};

struct block {
	struct hlist_node node;
	unsigned long address;
	unsigned long call;
};

static atomic_long_t calls;
static struct call *call_list;		/* those from 1 to CALLS, and the one that failed */
static bool has_failed;
static struct block *blocks;
static HLIST_HEAD(free_blocks);
static DEFINE_HASHTABLE(used_blocks, 12);
static DEFINE_RAW_SPINLOCK(blocks_lock);
static unsigned long unwatched;

static void note_call(struct call *call, const char *allocator, unsigned long caller)
{
	/* (now: the functions of __init are forgotten when init has returned) */
	snprintf(call->place, PLACE, "%pS", (void *)caller);
	/* read by others once it is there */
	smp_store_release(&call->allocator, allocator);
}

static bool fails(unsigned long number, const char *allocator, unsigned long caller)
{
	if (number <= CALLS)
		note_call(&call_list[number - 1], allocator, caller);
	if (number != fail_nth)
		return false;
	note_call(&call_list[CALLS], allocator, caller);
	has_failed = true;
	return true;
}

static struct block *find_block(unsigned long address)
{
	struct block *block;

	hash_for_each_possible(used_blocks, block, node, address)
		if (block->address == address)
			return block;
	return NULL;
}

static void forget(unsigned long address)
{
	struct block *block;
	unsigned long flags;

	if (!address)
		return;
	raw_spin_lock_irqsave(&blocks_lock, flags);
	block = find_block(address);
	if (block) {
		hash_del(&block->node);
		hlist_add_head(&block->node, &free_blocks);
	}
	raw_spin_unlock_irqrestore(&blocks_lock, flags);
}

static void watch(unsigned long address, unsigned long call)
{
	struct block *block;
	unsigned long flags;

	/* (ZERO_SIZE_PTR, and errors) */
	if (address <= PAGE_SIZE || IS_ERR_VALUE(address))
		return;
	raw_spin_lock_irqsave(&blocks_lock, flags);
	block = find_block(address);
	if (!block && !hlist_empty(&free_blocks)) {
		block = hlist_entry(free_blocks.first, struct block, node);
		hlist_del(&block->node);
		block->address = address;
		hash_add(used_blocks, &block->node, address);
	}
	if (block)
		block->call = call;
	else
		unwatched++;
	raw_spin_unlock_irqrestore(&blocks_lock, flags);
}

/*
 * Allocators and those that free take and return what a register holds, so that one form fits all: whatever a function
 * has as its first twenty arguments reaches it: kasprintf() takes any number. (Floating point there is none.)
 */
#define TAKEN unsigned long a, unsigned long b, unsigned long c, unsigned long d, unsigned long e, unsigned long f, \
	      unsigned long g, unsigned long h, unsigned long i, unsigned long j, unsigned long k, unsigned long l, \
	      unsigned long m, unsigned long n, unsigned long o, unsigned long p, unsigned long q, unsigned long r, \
	      unsigned long s, unsigned long t
#define GIVEN a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t

#define ALLOCATOR(name, failure, is_watched)						\
	unsigned long real_##name(TAKEN) __asm__(#name);				\
	unsigned long __wrap_##name(TAKEN);						\
	unsigned long __wrap_##name(TAKEN)						\
	{										\
		unsigned long number = atomic_long_inc_return(&calls), address;		\
											\
		if (fails(number, #name, _RET_IP_))					\
			return (unsigned long)(failure);				\
		address = real_##name(GIVEN);						\
		if (is_watched)								\
			watch(address, number);						\
		return address;								\
	}										\
	EXPORT_SYMBOL(__wrap_##name);

#define FREE(name)									\
	unsigned long real_##name(TAKEN) __asm__(#name);				\
	unsigned long __wrap_##name(TAKEN);						\
	unsigned long __wrap_##name(TAKEN)						\
	{										\
		forget(a);								\
		return real_##name(GIVEN);						\
	}										\
	EXPORT_SYMBOL(__wrap_##name);

/* The memory is the second argument; before 6.4, that may be the distance of the first one from it. */
#define FREE_LATER(name)								\
	unsigned long real_##name(TAKEN) __asm__(#name);				\
	unsigned long __wrap_##name(TAKEN);						\
	unsigned long __wrap_##name(TAKEN)						\
	{										\
		forget(b < PAGE_SIZE ? a - b : b);					\
		return real_##name(GIVEN);						\
	}										\
	EXPORT_SYMBOL(__wrap_##name);

#include "allocators.h"

/* Memory of slabs is freed by whom it was handed to, too. */
static void on_kfree(void *unused, unsigned long caller, const void *address)
{
	forget((unsigned long)address);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0)
static void on_cache_free(void *unused, unsigned long caller, const void *address, const struct kmem_cache *cache)
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(5, 12, 0)
static void on_cache_free(void *unused, unsigned long caller, const void *address, const char *cache)
#else
static void on_cache_free(void *unused, unsigned long caller, const void *address)
#endif
{
	forget((unsigned long)address);
}

/* ---- /proc/kbuildpy_guest ---- */

static void show_call(struct seq_file *file, const char *word, unsigned long number, const struct call *call)
{
	if (smp_load_acquire(&call->allocator))
		seq_printf(file, "%s %lu %s %s\n", word, number, call->allocator, call->place);
}

static int show(struct seq_file *file, void *unused)
{
	unsigned long number, made = atomic_long_read(&calls), flags;
	struct block *block;
	int bucket;

	mutex_lock(&modules_lock);
	for (number = 0; number < modules; number++) {
		if (watched[number].module)
			read_counters(&watched[number]);
		seq_printf(file, "module %s\n", watched[number].name);
		if (watched[number].text.used)
			seq_write(file, watched[number].text.bytes, watched[number].text.used);
		if (watched[number].lost)
			seq_puts(file, "lost\n");
	}
	mutex_unlock(&modules_lock);
	seq_printf(file, "calls %lu\n", made);
	for (number = 1; number <= min_t(unsigned long, made, CALLS); number++)
		show_call(file, "call", number, &call_list[number - 1]);
	if (READ_ONCE(has_failed))
		show_call(file, "failed", fail_nth, &call_list[CALLS]);
	raw_spin_lock_irqsave(&blocks_lock, flags);
	hash_for_each(used_blocks, bucket, block, node)
		seq_printf(file, "held %lu\n", block->call);
	seq_printf(file, "unwatched %lu\n", unwatched);
	raw_spin_unlock_irqrestore(&blocks_lock, flags);
	return 0;
}

static int __init kbuildpy_guest_init(void)
{
	unsigned int number;
	int error = -ENOMEM;

	call_list = vzalloc(array_size(CALLS + 1, sizeof(*call_list)));
	blocks = vzalloc(array_size(BLOCKS, sizeof(*blocks)));
	if (!call_list || !blocks)
		goto free;
	for (number = 0; number < BLOCKS; number++)
		hlist_add_head(&blocks[number].node, &free_blocks);
	if (!proc_create_single(NAME, 0400, NULL, show))
		goto free;
	error = register_trace_kfree(on_kfree, NULL);
	if (error)
		goto remove;
	error = register_trace_kmem_cache_free(on_cache_free, NULL);
	if (error)
		goto unregister;
	error = register_module_notifier(&module_notifier);
	if (!error)
		return 0;
	unregister_trace_kmem_cache_free(on_cache_free, NULL);
unregister:
	unregister_trace_kfree(on_kfree, NULL);
remove:
	remove_proc_entry(NAME, NULL);
	tracepoint_synchronize_unregister();
free:
	vfree(blocks);
	vfree(call_list);
	return error;
}
module_init(kbuildpy_guest_init);

/* There is no exit function: the guest ends with it. */
MODULE_DESCRIPTION("Watches instrumented modules");
MODULE_LICENSE("GPL");
