# The rules behind config.m4. Prerequisites are files, so that cargo runs only when one of them is newer than the
# module: `make install`, which is often run as root, never starts it.

ROADRUNNER_TARGET_DIR = $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),$(builddir)/target)
ROADRUNNER_SOURCES := $(wildcard $(srcdir)/Cargo.toml $(srcdir)/Cargo.lock $(srcdir)/build.rs \
	$(srcdir)/rust-toolchain.toml) \
	$(shell find $(srcdir)/ext $(srcdir)/runtime -name '*.rs' -o -name '*.[ch]' -o -name Cargo.toml)

# With TESTS=… the caller chooses.
TESTS = $(srcdir)/php-src-tests

$(phplibdir)/roadrunner.so: $(ROADRUNNER_SOURCES)
	cd $(srcdir) && $(ROADRUNNER_ENV) $(CARGO) build --locked \
		--package roadrunner --profile $(PHP_ROADRUNNER_PROFILE) --target-dir $(ROADRUNNER_TARGET_DIR)
	@test -d $(phplibdir) || mkdir $(phplibdir)
	cp $(ROADRUNNER_TARGET_DIR)/$(ROADRUNNER_OUTPUT)/libroadrunner.so $@.new
	mv -f $@.new $@

# `make test` asks this file for the name of the module; `make install` deletes it.
$(phplibdir)/roadrunner.la: $(phplibdir)/roadrunner.so
	@echo "dlname='roadrunner.so'" > $@

# A target directory of the caller's may hold more than ours.
.PHONY: roadrunner-clean
clean: roadrunner-clean
roadrunner-clean:
	-cd $(srcdir) && $(CARGO) clean --target-dir $(ROADRUNNER_TARGET_DIR) \
		$(if $(CARGO_TARGET_DIR),--package roadrunner --profile $(PHP_ROADRUNNER_PROFILE))

# The command line, beside PHP's programs.
install: roadrunner-install-bin
.PHONY: roadrunner-install-bin
roadrunner-install-bin:
	@echo "Installing rr command:            $(INSTALL_ROOT)$(bindir)/"
	@test -d $(INSTALL_ROOT)$(bindir) || mkdir -p $(INSTALL_ROOT)$(bindir)
	@$(INSTALL) -m 755 $(srcdir)/bin/rr $(INSTALL_ROOT)$(bindir)/rr
