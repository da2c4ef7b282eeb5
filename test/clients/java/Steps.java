import java.time.Duration;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * The steps with the Java client. Usage: Steps BOOTSTRAP PREFIX; one JSON object per step on stdout.
 *
 * One step runs at a time, on a thread of its own, so that one that hangs is given up; what it left open ends with the process.
 */
final class Steps {
    static final Duration BOUND = Duration.ofSeconds(30);

    final String bootstrap;
    final String prefix;

    private Steps(String bootstrap, String prefix) {
        this.bootstrap = bootstrap;
        this.prefix = prefix;
    }

    public static void main(String[] args) {
        Steps steps = new Steps(args[0], args[1]);
        System.out.println("{\"version\":" + quoted(AppInfoParser.getVersion()) + "}");
        Connections connections = new Connections(steps);
        new Administration(steps, connections).run();
        new Records(steps, connections).run();
        new Groups(steps, connections).run();
        new Transactions(steps, connections).run();
        System.out.println("{\"end\":true}");
        System.out.flush();
        Runtime.getRuntime().halt(0); // what a failed step left open must not hold us
    }

    /** A name that only this run uses. */
    String named(String name) {
        return prefix + "-" + name;
    }

    /** Runs a step that must work. */
    void step(String name, Callable<?> body) {
        step(name, "", body);
    }

    /** Runs a step; cluster says why it is not required of one node. */
    void step(String name, String cluster, Callable<?> body) {
        long began = System.nanoTime();
        FutureTask<?> task = new FutureTask<>(body);
        Thread thread = new Thread(task, name);
        thread.setDaemon(true);
        thread.start();
        boolean ok = false;
        String detail;
        try {
            Object found = task.get(BOUND.toSeconds(), TimeUnit.SECONDS);
            detail = found == null ? "" : found.toString();
            ok = true;
        } catch (TimeoutException late) {
            detail = "nothing after " + BOUND.toSeconds() + " s";
        } catch (ExecutionException failure) {
            detail = describe(failure.getCause());
        } catch (InterruptedException stopped) {
            detail = "interrupted";
        }
        say(name, cluster, ok, detail, (System.nanoTime() - began) / 1_000_000);
    }

    /** The error, its cause, and the line of ours it came through. */
    private static String describe(Throwable failure) {
        Throwable cause = failure instanceof ExecutionException && failure.getCause() != null ? failure.getCause() : failure;
        for (StackTraceElement at : failure.getStackTrace()) {
            if (at.getClassName().indexOf('.') < 0 && !at.getMethodName().equals("same")) {
                return cause + " (" + at.getFileName() + ":" + at.getLineNumber() + ")";
            }
        }
        return cause.toString();
    }

    private static void say(String name, String cluster, boolean ok, String detail, long millis) {
        System.out.printf("{\"step\":%s,\"cluster\":%s,\"ok\":%b,\"detail\":%s,\"millis\":%d}%n",
            quoted(name), quoted(cluster), ok, quoted(detail), millis);
        System.out.flush();
    }

    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else {
                out.append(c < ' ' ? ' ' : c);
            }
        }
        return out.append('"').toString();
    }

    /** Fails unless both are equal. */
    static void same(Object got, Object want) {
        if (!want.equals(got)) {
            throw new AssertionError("got " + got + ", want " + want);
        }
    }

    /** Waits for a condition by asking again. */
    static void until(String what, BooleanSupplier condition) throws InterruptedException {
        long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("waited in vain for " + what);
            }
            Thread.sleep(10);
        }
    }

    /** until for a condition that throws. */
    static void eventually(String what, Callable<Boolean> condition) throws InterruptedException {
        until(what, () -> {
            try {
                return condition.call();
            } catch (Exception notYet) {
                return false;
            }
        });
    }

    /** Runs what must fail with an error of this kind, or with one caused by it. */
    static <T extends Throwable> T refused(Class<T> kind, Callable<?> body) throws Exception {
        try {
            body.call();
        } catch (Exception failure) {
            for (Throwable t = failure; t != null; t = t.getCause()) {
                if (kind.isInstance(t)) {
                    return kind.cast(t);
                }
            }
            throw failure;
        }
        throw new AssertionError("was not refused with " + kind.getSimpleName());
    }

    static Map<String, Object> with(Map<String, Object> base, Map<String, Object> more) {
        Map<String, Object> all = new java.util.HashMap<>(base);
        all.putAll(more);
        return all;
    }
}
