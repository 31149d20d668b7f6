/* meas FILE COMMAND...: runs a command once, its output into FILE, and prints
 *     wall_seconds cpu_seconds peak_rss_kib exit_status
 * Small, because Linux hands the peak memory of a parent on to its child over exec: started from Python, every program
 * would seem to take 10 MB. FILE must not be /dev/null: grep stops at the first match when it is. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval t) { return t.tv_sec + t.tv_usec / 1e6; }

int main(int count, char **words) {
    if (count < 3) return 2;
    int input = open("/dev/null", O_RDONLY);
    int output = open(words[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (input < 0 || output < 0) return 2;
    struct timespec begin, end;
    struct rusage used;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    pid_t child = vfork();
    if (child == 0) {
        dup2(input, 0);
        dup2(output, 1);
        dup2(output, 2);
        execvp(words[2], words + 2);
        _exit(127);
    }
    wait4(child, &status, 0, &used);
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.6f %.6f %ld %d\n", (end.tv_sec - begin.tv_sec) + (end.tv_nsec - begin.tv_nsec) / 1e9,
           seconds(used.ru_utime) + seconds(used.ru_stime), used.ru_maxrss,
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}
