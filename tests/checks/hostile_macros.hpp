// What <complex.h>, X11, Qt, <sys/sysmacros.h> and old C code define before they include us.
#define I 1
#define complex 1
#define None 0
#define Bool int
#define Status int
#define Success 0
#define True 1
#define False 0
#define Always 2
#define emit
#define signals public
#define slots
#define foreach 1
#define forever 1
#define major(x) (x)
#define check(x) (x)
#define verify(x) (x)
#define small 1
#define near
#define far
#define PAGE_SIZE 4096
#define EPS 1e-6
