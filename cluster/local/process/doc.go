// Package process starts programs and keeps hold of them: each has a log file, a process group of its own and,
// if it outlives its parent, a pidfile. The type to know is [Process]; [Start] makes one and [Attach] finds it again.
//
// # What is ours
//
// A process id alone proves nothing: after a crash it may belong to somebody else. A pidfile therefore also holds the
// time at which the process began, and every process carries [MarkVariable] in its environment. Nothing is signalled
// unless these agree.
package process
