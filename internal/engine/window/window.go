// Package window is the arithmetic of windows: which windows a record falls into, when they close, when a record is too
// late. It is pure.
package window
